import { describe, expect, it } from 'vitest';
import * as g from '../../../../gpu-worker/graph/index.ts';
import { type GraphSettings, largest, VARIANTS, type Variant } from '../../../../gpu-worker/sae/codes/variants.ts';
import { stream } from '../../../../shared/math/random.ts';

const SEED = 17;
const all = Object.values(VARIANTS);
const named = (variants: Variant[]) => variants.map((variant) => [variant.name, variant] as const);

/** Least 1/2 |u - z|^2 + lambda R(z) over all supports, each coordinate of a support on a fine grid. */
function bruteForce(variant: Variant, u: Float64Array, k: number, lambda: number): number {
  let best = Number.POSITIVE_INFINITY;
  const P = u.length;
  const values = u.map((value) => bestValue(variant, value, k, lambda));
  for (let support = 0; support < 1 << P; support++) {
    const z = values.map((value, i) => ((support >> i) & 1 ? value : 0));
    best = Math.min(best, objective(variant, u, z, k, lambda));
  }
  return best;
}
const objective = (variant: Variant, u: Float64Array, z: Float64Array, k: number, lambda: number): number => {
  const cost = variant.cost(z, k);
  if (cost === Number.POSITIVE_INFINITY) {
    return cost;
  }
  return z.reduce((sum, value, i) => sum + 0.5 * (u[i]! - value) ** 2, 0) + lambda * cost;
};
/** Best single value other than 0, by grid: the costs are sums over coordinates once the support is fixed. */
function bestValue(variant: Variant, u: number, k: number, lambda: number): number {
  const step = 1e-3;
  let [at, least] = [step, Number.POSITIVE_INFINITY];
  for (let z = -4; z <= 4; z += step) {
    if (Math.abs(z) < step / 2) {
      continue;
    }
    const value = objective(variant, Float64Array.of(u), Float64Array.of(z), k, lambda);
    if (value < least) {
      [at, least] = [z, value];
    }
  }
  return at;
}

describe('closed forms of the proximal operators (check 1)', () => {
  it.each(named(all))('%s is the minimum over all supports and a grid of values', (name, variant) => {
    for (let trial = 0; trial < 12; trial++) {
      const u = stream(SEED, `${name} ${trial}`).normal(5);
      const [k, lambda] = [2, 0.1 + 0.05 * trial];
      const z = variant.prox(u, { k, lambda });
      const closed = objective(variant, u, z, k, lambda);
      const searched = bruteForce(variant, u, k, lambda);
      // The grid is never better, and the closed form never worse than the grid's resolution.
      expect(closed, `seed ${SEED}, trial ${trial}`).toBeLessThanOrEqual(searched + 1e-12);
      expect(searched - closed, `seed ${SEED}, trial ${trial}`).toBeLessThan(5 * 5e-6);
    }
  });

  it('puts the hard threshold at sqrt(2 lambda)', () => {
    const lambda = 0.32;
    for (const variant of [VARIANTS.jumprelu, VARIANTS.two_sided_jumprelu]) {
      expect([...variant.prox(Float64Array.of(0.8 + 1e-9, 0.8 - 1e-9), { k: 1, lambda })]).toEqual([0.8 + 1e-9, 0]);
    }
    expect([...VARIANTS.two_sided_jumprelu.prox(Float64Array.of(-0.9), { k: 1, lambda })]).toEqual([-0.9]);
    expect([...VARIANTS.jumprelu.prox(Float64Array.of(-0.9), { k: 1, lambda })]).toEqual([0]);
  });

  it('breaks ties by position', () => {
    expect(largest([1, 3, 3, 2], 2)).toEqual([1, 2]);
    expect(largest([0, 0, 0], 2)).toEqual([0, 1]);
  });
});

describe('the code as a graph', () => {
  const [rows, width, k] = [7, 12, 3];
  const settings = (variant: Variant): GraphSettings => ({
    k,
    threshold: variant.learnsThreshold ? g.input('threshold', [width], 'float64') : null,
    bandwidth: 0.4,
  });
  const feeds = (variant: Variant, u: Float64Array) => ({
    u: { shape: [rows, width], data: u },
    ...(variant.learnsThreshold && { threshold: { shape: [width], data: new Float64Array(width).fill(0.7) } }),
  });
  const symbolic = () => g.input('u', [rows, width], 'float64');

  it.each(named(all))('%s has the value of the proximal operator', (name, variant) => {
    const u = stream(SEED, `graph ${name}`).normal(rows * width);
    const input = symbolic();
    const [code] = g.evaluate([variant.graph(input, settings(variant)).code], feeds(variant, u));
    const expected = new Float64Array(rows * width);
    if (variant.selection === 'batch') {
      // Jointly over the batch: one long token with k rows codes.
      expected.set(variant.prox(u, { k: k * rows, lambda: 0 }));
    } else {
      for (let row = 0; row < rows; row++) {
        const part = u.subarray(row * width, (row + 1) * width);
        const lambda = variant.learnsThreshold ? 0.7 ** 2 / 2 : 0;
        expected.set(variant.prox(part, { k, lambda }), row * width);
      }
    }
    expect([...code!.data]).toEqual([...expected]);
  });

  it.each(named(all))(
    '%s: gradient by u agrees with differences where the support holds (check 11)',
    (name, variant) => {
      const u = stream(SEED, `gradient ${name}`).normal(rows * width);
      const weights = stream(SEED, `weights ${name}`).normal(rows * width);
      const input = symbolic();
      const { code } = variant.graph(input, settings(variant));
      const loss = g.sum(g.mul(g.square(code), g.constant(weights, [rows, width], 'float64')));
      const [gradient, value] = [g.gradients(loss, [input])[0]!, loss];
      const [analytic, z] = g.evaluate([gradient, code], feeds(variant, u));
      for (let i = 0; i < u.length; i += 5) {
        if (z!.data[i] === 0) {
          expect(analytic!.data[i]).toBe(0);
          continue;
        }
        const difference = [1e-6, -1e-6].map((h) => {
          const moved = u.slice();
          moved[i]! += h;
          return g.evaluate([value], feeds(variant, moved))[0]!.data[0]!;
        });
        const numeric = (difference[0]! - difference[1]!) / 2e-6;
        expect(Math.abs(numeric - analytic!.data[i]!), `seed ${SEED}`).toBeLessThan(1e-4 * (1 + Math.abs(numeric)));
      }
    },
  );

  it.each(named(all.filter(({ learnsThreshold }) => learnsThreshold)))(
    '%s: thresholds have the rectangle’s gradients, times theta through the logarithm',
    (name, variant) => {
      const u = stream(SEED, `threshold ${name}`).normal(rows * width);
      const dz = stream(SEED, `by code ${name}`).normal(rows * width);
      const [bandwidth, theta] = [0.4, 0.7];
      const input = symbolic();
      const logTheta = g.input('threshold', [width], 'float64');
      const { code, penalty } = variant.graph(input, { k, threshold: g.exp(logTheta), bandwidth });
      const byCode = g.sum(g.mul(code, g.constant(dz, [rows, width], 'float64')));
      const values = {
        u: { shape: [rows, width], data: u },
        threshold: { shape: [width], data: new Float64Array(width).fill(Math.log(theta)) },
      };
      const gradients = [byCode, penalty!].map((loss) => g.gradients(loss, [logTheta])[0]!);
      const [fromCode, fromPenalty] = g.evaluate(gradients, values);
      for (let i = 0; i < width; i++) {
        let [code, step] = [0, 0];
        for (let row = 0; row < rows; row++) {
          const value = u[row * width + i]!;
          const score = variant.signed ? Math.abs(value) : value;
          if (Math.abs(score - theta) >= bandwidth / 2) {
            continue;
          }
          code -= (theta / bandwidth) * dz[row * width + i]! * (variant.signed ? Math.sign(value) : 1);
          step -= 1 / bandwidth / rows;
        }
        expect(fromCode!.data[i]).toBeCloseTo(theta * code, 10);
        expect(fromPenalty!.data[i]).toBeCloseTo(theta * step, 10);
      }
    },
  );
});

describe('identities', () => {
  const [d, P, k] = [9, 14, 3];
  const random = stream(SEED, 'identities');
  const [W, D] = ['W', 'D'].map((name) => random.derive(name).normal(P * d)) as [Float64Array, Float64Array];
  const [bias, b] = [random.derive('b_e').normal(P), random.derive('b').normal(d)];
  const reconstruct = (
    variant: Variant,
    encoder: Float64Array,
    be: Float64Array,
    decoder: Float64Array,
    x: Float64Array,
  ) => {
    const u = be.map((value, i) => {
      let sum = value;
      for (let j = 0; j < d; j++) {
        sum += encoder[i * d + j]! * (x[j]! - b[j]!);
      }
      return sum;
    });
    const z = variant.prox(u, { k, lambda: 0 });
    const out = b.slice();
    z.forEach((code, i) => {
      if (code !== 0) {
        for (let j = 0; j < d; j++) {
          out[j]! += code * decoder[i * d + j]!;
        }
      }
    });
    return { out, z };
  };

  it('AbsTopK is TopK on the doubled dictionary [D, -D] (check 2)', () => {
    const doubled = (a: Float64Array) => Float64Array.from([...a, ...a.map((value) => -value)]);
    for (let trial = 0; trial < 20; trial++) {
      const x = random.derive(`x ${trial}`).normal(d);
      const one = reconstruct(VARIANTS.abstopk, W, bias, D, x);
      const two = reconstruct(VARIANTS.topk, doubled(W), doubled(bias), doubled(D), x);
      expect(Math.max(...one.out.map((value, j) => Math.abs(value - two.out[j]!)))).toBeLessThan(1e-12);
    }
  });

  it('flipping the signs of latents leaves the reconstruction’s bits alone (check 3)', () => {
    const flips = Float64Array.from(random.derive('flips').uniform(P), (u) => (u < 0.5 ? -1 : 1));
    const flip = (a: Float64Array, size: number) => a.map((value, i) => value * flips[Math.floor(i / size)]!);
    for (let trial = 0; trial < 20; trial++) {
      const x = random.derive(`flipped ${trial}`).normal(d);
      const plain = reconstruct(VARIANTS.abstopk, W, bias, D, x);
      const flipped = reconstruct(VARIANTS.abstopk, flip(W, d), flip(bias, 1), flip(D, d), x);
      expect(flipped.out).toEqual(plain.out);
    }
  });

  it('AbsTopK keeps exactly k codes of every token, TopK at most k (check 13)', () => {
    for (let trial = 0; trial < 50; trial++) {
      const u = random.derive(`count ${trial}`).normal(P, { mean: -1.5 });
      const count = (z: Float64Array) => z.filter((value) => value !== 0).length;
      expect(count(VARIANTS.abstopk.prox(u, { k, lambda: 0 }))).toBe(k);
      const kept = VARIANTS.topk.prox(u, { k, lambda: 0 });
      expect(count(kept)).toBe(Math.min(k, u.filter((value) => value > 0).length));
    }
  });
});
