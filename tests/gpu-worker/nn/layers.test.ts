import { describe, expect, it } from 'vitest';
import * as g from '../../../gpu-worker/graph/index.ts';
import { attention } from '../../../gpu-worker/nn/index.ts';
import { stream } from '../../../shared/math/random.ts';
import { relativeError } from '../graph/sources.ts';

const [BATCH, LENGTH, HEADS, WIDTH] = [2, 5, 2, 6];
const shape = [BATCH, LENGTH, HEADS * WIDTH];
const names = ['q', 'k', 'v'] as const;
const inputs = names.map((name) => g.input(name, shape)) as [g.Tensor, g.Tensor, g.Tensor];
const causal = g.constant(
  Float32Array.from({ length: LENGTH ** 2 }, (_, i) => (i % LENGTH > Math.floor(i / LENGTH) ? -1e9 : 0)),
  [LENGTH, LENGTH],
);
const size = BATCH * LENGTH * HEADS * WIDTH;
const feeds = Object.fromEntries(names.map((name) => [name, { shape, data: stream(1, name).normal(size) }]));

/** Attention by its definition, one query at a time. */
function naive(): Float64Array {
  const [q, k, v] = names.map((name) => feeds[name]!.data) as [Float64Array, Float64Array, Float64Array];
  const out = new Float64Array(size);
  const at = (b: number, t: number, h: number, i: number) => ((b * LENGTH + t) * HEADS + h) * WIDTH + i;
  for (let b = 0; b < BATCH; b++) {
    for (let h = 0; h < HEADS; h++) {
      for (let t = 0; t < LENGTH; t++) {
        const powers = Array.from({ length: t + 1 }, (_, s) => {
          let score = 0;
          for (let i = 0; i < WIDTH; i++) {
            score += q[at(b, t, h, i)]! * k[at(b, s, h, i)]!;
          }
          return Math.exp(score / Math.sqrt(WIDTH));
        });
        const total = powers.reduce((sum, power) => sum + power, 0);
        powers.forEach((power, s) => {
          for (let i = 0; i < WIDTH; i++) {
            out[at(b, t, h, i)]! += (power / total) * v[at(b, s, h, i)]!;
          }
        });
      }
    }
  }
  return out;
}

describe('attention', () => {
  const y = attention(inputs, HEADS, causal);
  it('is its definition', () => {
    expect(relativeError(g.evaluate([y], feeds)[0]!.data, naive())).toBeLessThan(1e-12);
  });

  it('has the gradient of its definition', () => {
    const loss = g.sum(g.mul(y, g.constant(stream(2, 'weights').normal(size), shape)));
    const exact = g.evaluate(g.gradients(loss, inputs), feeds);
    names.forEach((name, which) => {
      const numeric = Float64Array.from({ length: size }, (_, i) => {
        const at = (offset: number) => {
          const data = Float64Array.from(feeds[name]!.data);
          data[i]! += offset;
          return g.evaluate([loss], { ...feeds, [name]: { shape, data } })[0]!.data[0]!;
        };
        return (at(1e-5) - at(-1e-5)) / 2e-5;
      });
      expect(relativeError(exact[which]!.data, numeric), name).toBeLessThan(1e-6);
    });
  });
});
