/**
 * DAFH-style predictors: a gate g(x) = argmax_k of linear scores routes every row to one of K linear heads, learned
 * without demographic attributes (after Cai, Khalili, Zhang, "Demographic-Agnostic Fairness without Harm",
 * arXiv:2509.24077; the paper's objective is not public, this is a reconstruction that meets its definitions).
 */
import { dataError, requireFinite } from '../data-error.ts';

/** Weights are row-major with the intercept last: gate (K x (d+1)), heads (K x (d+1)), pooled (d+1). */
export type GatedPredictor = {
  features: number;
  groups: number;
  gate: Float64Array;
  heads: Float64Array;
  pooled: Float64Array;
  /** Head that serves group k: k itself, another group's head after a merge, or -1 for the pooled head. */
  serving: Int32Array;
  link: 'logistic' | 'identity';
};

/** Raises `data_invalid` (weights_misfit, value_not_finite) unless every array has its stated shape. */
export function checkGated(p: GatedPredictor): void {
  const width = p.features + 1;
  const shapes = { gate: p.groups * width, heads: p.groups * width, pooled: width, serving: p.groups } as const;
  for (const [name, length] of Object.entries(shapes) as [keyof typeof shapes, number][]) {
    if (p[name].length !== length) {
      throw dataError(
        'weights_misfit',
        `/${name}`,
        `${name} holds ${p[name].length} values, its shape needs ${length}`,
      );
    }
    requireFinite(p[name], `/${name}`);
  }
  p.serving.forEach((k, i) => {
    if (!(Number.isInteger(k) && k >= -1 && k < p.groups)) {
      throw dataError('weights_misfit', `/serving/${i}`, `a serving head is -1 or one of 0..${p.groups - 1}, got ${k}`);
    }
  });
}

/** The heads as they are served: row k holds the weights that group k gets (K x (d+1)). */
function servedHeads(p: GatedPredictor): Float64Array {
  const width = p.features + 1;
  const out = new Float64Array(p.groups * width);
  for (let k = 0; k < p.groups; k++) {
    const from = p.serving[k]!;
    out.set(from < 0 ? p.pooled : p.heads.subarray(from * width, (from + 1) * width), k * width);
  }
  return out;
}

/**
 * Predictions for `rows` (n x d, row-major), written to `scores` (n) and the learned groups to `routed` (n). The hard
 * gate: ties go to the lowest group. No allocation per row.
 */
export function predictGated(p: GatedPredictor, rows: Float64Array, scores: Float64Array, routed: Uint8Array): void {
  const { features: d, groups, gate } = p;
  const served = servedHeads(p);
  const width = d + 1;
  const logistic = p.link === 'logistic';
  const n = scores.length;
  for (let i = 0; i < n; i++) {
    const at = i * d;
    let best = 0;
    let bestScore = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < groups; k++) {
      const base = k * width;
      let score = gate[base + d]!;
      for (let j = 0; j < d; j++) {
        score += gate[base + j]! * rows[at + j]!;
      }
      if (score > bestScore) {
        bestScore = score;
        best = k;
      }
    }
    const base = best * width;
    let value = served[base + d]!;
    for (let j = 0; j < d; j++) {
      value += served[base + j]! * rows[at + j]!;
    }
    scores[i] = logistic ? 1 / (1 + Math.exp(-value)) : value;
    routed[i] = best;
  }
}

/** The predictor with every group's head the one that serves it: what its promises are measured on. */
export const asServed = (p: GatedPredictor): GatedPredictor => ({
  ...p,
  heads: servedHeads(p),
  serving: Int32Array.from({ length: p.groups }, (_, k) => k),
});

/** Scores of every head on every row ((K + 1) x n, the pooled head last): what the audit of learned groups needs. */
export function scoreEveryHead(p: GatedPredictor, rows: Float64Array): Float64Array[] {
  const { features: d } = p;
  const width = d + 1;
  const n = rows.length / d;
  const heads = Array.from({ length: p.groups }, (_, k) => p.heads.subarray(k * width, (k + 1) * width));
  return [...heads, p.pooled].map((weights) => {
    const out = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      let value = weights[d]!;
      for (let j = 0; j < d; j++) {
        value += weights[j]! * rows[i * d + j]!;
      }
      out[i] = p.link === 'logistic' ? 1 / (1 + Math.exp(-value)) : value;
    }
    return out;
  });
}
