import { describe, expect, it } from 'vitest';
import { symmetricEigen } from '../../../shared/math/decompositions.ts';
import { fromRows } from '../../../shared/math/matrix.ts';
import { powerIteration } from '../../../shared/math/power-iteration.ts';
import { stream } from '../../../shared/math/random.ts';

const seed = 20_261_130;

describe(`power iteration, seed ${seed}`, () => {
  const diagonal =
    (...values: number[]) =>
    (v: Float64Array) =>
      v.map((x, i) => values[i]! * x);

  it('finds the first eigenvector and its value, as the whole decomposition does', () => {
    const n = 6;
    const half = stream(seed, 'half').normal(n * n);
    const rows = Array.from({ length: n }, (_, i) =>
      Array.from({ length: n }, (_, j) => {
        let sum = 0;
        for (let k = 0; k < n; k++) {
          sum += half[i * n + k]! * half[j * n + k]!;
        }
        return sum;
      }),
    );
    const { values, vectors } = symmetricEigen(fromRows(rows));
    const product = (v: Float64Array) =>
      Float64Array.from(rows, (row) => row.reduce((sum, x, j) => sum + x * v[j]!, 0));
    const found = powerIteration(product, new Float64Array(n).fill(1), { rounds: 5000, tolerance: 1e-12 });
    expect(found.settled).toBe(true);
    expect(found.value / values[0]!).toBeCloseTo(1, 10);
    const along = found.vector.reduce((sum, x, i) => sum + x * vectors.data[i * n]!, 0);
    expect(Math.abs(along)).toBeCloseTo(1, 10);
  });

  it('says when the vector is still turning, though the value is known', () => {
    const start = Float64Array.of(1, 2);
    const close = diagonal(1, 0.999);
    expect(powerIteration(close, start, { rounds: 100, tolerance: 1e-6 }).settled).toBe(false);
    const value = powerIteration(close, start, { rounds: 100, tolerance: 1e-6, until: 'value' });
    expect(value).toMatchObject({ settled: true });
    expect(Math.abs(value.value - 1)).toBeLessThan(1e-3);
    expect(powerIteration(diagonal(0, 0), start, { rounds: 9, tolerance: 1e-6 })).toMatchObject({
      value: 0,
      settled: true,
    });
  });

  it('never settles on what is no number', () => {
    const broken = powerIteration(diagonal(Number.NaN, 1), Float64Array.of(1, 1), { rounds: 9, tolerance: 1 });
    expect(broken.settled).toBe(false);
  });
});
