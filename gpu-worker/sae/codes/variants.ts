/**
 * The variants, all from one step of proximal gradient descent on a sparse code (Zhu, Khalili & Zhu, "AbsTopK",
 * arXiv:2510.00404, section 3): a regulariser R gives the code z = prox_{lambda R}(u) of the pre-activations u. Here are, for
 * each R, the closed form of its proximal operator in float64, and the same code as a graph with its gradient; which variants
 * there are says `shared/models/sae-variants.ts`.
 */
import { SAE_VARIANT_NAMES, type SaeVariantFacts, saeVariant } from '../../../shared/models/sae-variant-facts.ts';
import type { SaeVariant, SaeVariantEntry } from '../../../shared/models/sae-variants.ts';
import * as g from '../../graph/index.ts';

/** What a code needs besides u. */
export type CodeSettings = {
  /** Codes kept per token; for the batch variants on average. */
  k: number;
  /** Smallest magnitude kept, per latent; used by the threshold variants, and by batch variants outside training. */
  threshold: ArrayLike<number>;
};
export type GraphSettings = {
  k: number;
  /** [latents], for variants that learn thresholds. */
  threshold: g.Tensor | null;
  /** Width of the rectangle that stands for the derivative of a step. */
  bandwidth: number;
};
/** `penalty` is a scalar to be added with the sparsity coefficient; `cut` the smallest magnitude kept (batch variants). */
type GraphCode = { code: g.Tensor; penalty: g.Tensor | null; cut: g.Tensor | null };

/** What a regulariser gives for codes that may or may not be negative. */
type Operator = {
  /** R(z) of one token; infinite outside its domain. */
  cost(z: Float64Array, k: number): number;
  /** Proximal operator of one token, naive; `lambda` weighs R (ignored where R is an indicator). */
  prox(u: Float64Array, settings: { k: number; lambda: number }): Float64Array;
  /** The code with its gradient, u [rows, latents]. */
  graph(u: g.Tensor, settings: GraphSettings): GraphCode;
};
export type Variant = SaeVariantFacts & Operator;

const nonNegative = (z: Float64Array): boolean => z.every((value) => value >= 0);
const count = (z: Float64Array): number => z.reduce((n, value) => n + (value !== 0 ? 1 : 0), 0);
const domain = (inside: boolean, cost = 0): number => (inside ? cost : Number.POSITIVE_INFINITY);

/** Positions of the k largest scores; equal scores in order of position. */
export const largest = (scores: ArrayLike<number>, k: number): number[] =>
  Array.from({ length: scores.length }, (_, i) => i)
    .sort((a, b) => scores[b]! - scores[a]! || a - b)
    .slice(0, k);

function keep(u: Float64Array, positions: readonly number[], value: (u: number) => number): Float64Array {
  const z = new Float64Array(u.length);
  for (const i of positions) {
    z[i] = value(u[i]!);
  }
  return z;
}
const positive = (u: number): number => Math.max(u, 0);
const magnitude = (u: Float64Array): Float64Array => u.map(Math.abs);

/** Mean over tokens of the number of codes kept, with the gradient of the thresholds through the rectangle. */
function stepPenalty(gate: g.Tensor, near: g.Tensor, threshold: g.Tensor, bandwidth: number): g.Tensor {
  const rows = gate.shape[0] as number;
  const fired = g.sum(g.indicator(gate, threshold.dtype));
  const kept = g.withGradient(fired, [threshold], (dy) => [g.mul(g.sum(near, 0), g.mul(dy, -1 / bandwidth))]);
  return g.div(kept, rows);
}

/** z = u where score > theta; straight-through gradients of theta as in JumpReLU (Rajamanoharan et al. 2024). */
function jump(u: g.Tensor, score: g.Tensor, sign: g.Tensor | null, settings: GraphSettings): GraphCode {
  const theta = settings.threshold!;
  const { bandwidth } = settings;
  const gate = g.greater(score, theta);
  const near = g.indicator(g.less(g.abs(g.sub(score, theta)), bandwidth / 2), u.dtype);
  const value = g.where(gate, u, 0);
  const code = g.withGradient(value, [u, theta], (dy) => {
    const through = sign ? g.mul(dy, sign) : dy;
    return [g.where(gate, dy, 0), g.mul(g.sum(g.mul(through, near), 0), g.mul(theta, -1 / bandwidth))];
  });
  return { code, penalty: stepPenalty(gate, near, theta, bandwidth), cut: null };
}

/** The k largest scores of every row, or with `batch` the k x rows largest of all. */
function top(u: g.Tensor, score: g.Tensor, value: g.Tensor, k: number, batch: boolean): GraphCode {
  const [rows, width] = u.shape as [number, number];
  const ranked = batch ? g.reshape(score, [1, rows * width]) : score;
  const cut = g.kthLargest(ranked, batch ? k * rows : k);
  const code = g.where(g.greaterEqual(score, cut), value, 0);
  return { code, penalty: null, cut: batch ? g.reshape(cut, []) : null };
}

const l1 = (): Operator => ({
  cost: (z) =>
    domain(
      nonNegative(z),
      z.reduce((sum, value) => sum + value, 0),
    ),
  prox: (u, { lambda }) => u.map((value) => Math.max(value - lambda, 0)),
  graph: (u) => {
    const code = g.relu(u);
    return { code, penalty: g.div(g.sum(code), u.shape[0] as number), cut: null };
  },
});

const l0 = (signed: boolean): Operator => {
  const score = (value: number) => (signed ? Math.abs(value) : value);
  return {
    cost: (z) => domain(signed || nonNegative(z), count(z)),
    prox: (u, { lambda }) => u.map((value) => (score(value) > 0 && score(value) >= Math.sqrt(2 * lambda) ? value : 0)),
    graph: (u, settings) => (signed ? jump(u, g.abs(u), g.sign(u), settings) : jump(u, u, null, settings)),
  };
};

/** Over a batch the same set is restricted jointly: for one token alone it is that of the token. */
const atMostK = (signed: boolean, over: SaeVariantEntry['over']): Operator => ({
  cost: (z, k) => domain((signed || nonNegative(z)) && count(z) <= k),
  prox: (u, { k }) => (signed ? keep(u, largest(magnitude(u), k), (value) => value) : keep(u, largest(u, k), positive)),
  graph: (u, { k }) => (signed ? top(u, g.abs(u), u, k, over === 'batch') : top(u, u, g.relu(u), k, over === 'batch')),
});

const OPERATORS: Record<SaeVariantEntry['regulariser'], (entry: SaeVariantEntry) => Operator> = {
  l1,
  l0: ({ signed }) => l0(signed),
  at_most_k: ({ signed, over }) => atMostK(signed, over),
};

/** Every variant by name. */
export const VARIANTS = Object.fromEntries(
  SAE_VARIANT_NAMES.map((name) => {
    const facts = saeVariant(name);
    return [name, { ...facts, ...OPERATORS[facts.regulariser](facts) }];
  }),
) as Readonly<Record<SaeVariant, Variant>>;

/**
 * The code outside training of a whole batch, float64: as the variant is used for inference, where the choice for a
 * token never depends on its neighbours (batch variants use their stored threshold).
 */
export function inferenceCode(variant: Variant, u: Float64Array, width: number, settings: CodeSettings): Float64Array {
  const z = new Float64Array(u.length);
  for (let start = 0; start < u.length; start += width) {
    const row = u.subarray(start, start + width);
    if (variant.selection === 'token') {
      z.set(variant.prox(row, { k: settings.k, lambda: 0 }), start);
      continue;
    }
    row.forEach((value, i) => {
      const score = variant.signed ? Math.abs(value) : value;
      // A code that is never negative is never kept below 0, whatever its threshold.
      const threshold = Math.max(0, settings.threshold[i] ?? 0);
      if (variant.selection === 'batch' ? score >= threshold : score > threshold) {
        z[start + i] = value;
      }
    });
  }
  return z;
}
