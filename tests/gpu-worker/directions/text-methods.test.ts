import { describe, expect, it } from 'vitest';
import { firstComponent } from '../../../gpu-worker/directions/text-methods.ts';
import { stream } from '../../../shared/math/random.ts';

const seed = 7;

describe(`the first principal component, seed ${seed}`, () => {
  /** Rows on both sides of every axis, so that the variances along the axes are these exactly. */
  const rows = (...variances: number[]): Float32Array =>
    Float32Array.from(
      variances.flatMap((variance, i) =>
        [1, -1].flatMap((sign) => variances.map((_, j) => (i === j ? sign * Math.sqrt(variance) : 0))),
      ),
    );
  const mean = [0, 0, 0];

  it('is the axis of most variance, on the side of the difference of the means', () => {
    const found = firstComponent([rows(1, 4, 0.5)], 3, mean, Float64Array.of(0.3, -0.2, 0.1));
    expect([...found].map((x) => Math.round(x * 1e5) / 1e5 + 0)).toEqual([0, -1, 0]);
  });

  it('is found in noise as well', () => {
    const noise = stream(seed, 'noise').normal(3000);
    const x = Float32Array.from(noise, (value, i) => value * [1, 1.2, 1][i % 3]!);
    const found = firstComponent([x], 3, mean, Float64Array.of(0, 1, 0));
    expect(found[1]).toBeGreaterThan(0.9);
  });

  it('is refused where a second direction varies as much, saying what to do', () => {
    expect(() => firstComponent([rows(1, 0.9995, 0.2)], 3, mean, Float64Array.of(0.3, 0.2, 0.1))).toThrow(
      expect.objectContaining({ code: 'not_converged', message: expect.stringMatching(/difference in means/) }),
    );
    expect(() => firstComponent([new Float32Array(9)], 3, mean, Float64Array.of(1, 0, 0))).toThrow(
      expect.objectContaining({ code: 'data_invalid' }),
    );
  });
});
