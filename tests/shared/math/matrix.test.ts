import { describe, expect, it } from 'vitest';
import { cholesky, SingularMatrixError, solveRidge, solveSymmetric } from '../../../shared/math/cholesky.ts';
import { singularValues, symmetricEigen } from '../../../shared/math/decompositions.ts';
import { leastSquares } from '../../../shared/math/least-squares.ts';
import * as m from '../../../shared/math/matrix.ts';
import { stream } from '../../../shared/math/random.ts';
import { transpose } from '../../support/matrix-oracles.ts';

const random = (rows: number, cols: number, name: string): m.Matrix =>
  m.matrix(rows, cols, stream(7, name).normal(rows * cols));
const largest = (a: m.Matrix, b: m.Matrix): number =>
  Math.max(...Array.from(m.add(a, b, -1).data, (value) => Math.abs(value)));

describe('matrix products', () => {
  it('agree with the sum they abbreviate', () => {
    const [a, b] = [random(4, 3, 'a'), random(3, 5, 'b')];
    const product = m.multiply(a, b);
    for (let i = 0; i < 4; i++) {
      for (let j = 0; j < 5; j++) {
        let sum = 0;
        for (let k = 0; k < 3; k++) {
          sum += a.data[i * 3 + k]! * b.data[k * 5 + j]!;
        }
        expect(product.data[i * 5 + j]).toBeCloseTo(sum, 12);
      }
    }
    expect(largest(m.multiplyTransposed(a, transpose(b)), product)).toBeLessThan(1e-12);
    expect(m.apply(a, [1, 0, 0])).toEqual(Float64Array.from([0, 1, 2, 3], (i) => a.data[i * 3]!));
    expect(() => m.multiply(b, b)).toThrow(RangeError);
    expect(() => m.fromRows([[1, 2], [3]])).toThrow(/row 1/);
  });
});

describe('decompositions', () => {
  it.each([1, 2, 7, 30])('rebuild a symmetric matrix of size %i and are orthonormal', (n) => {
    const raw = random(n, n, `s${n}`);
    const a = m.symmetrise(raw);
    const { values, vectors } = symmetricEigen(a);
    const scaled = m.zeros(n, n);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        scaled.data[i * n + j] = vectors.data[i * n + j]! * values[j]!;
      }
    }
    expect(largest(m.multiplyTransposed(scaled, vectors), a)).toBeLessThan(1e-12);
    expect(largest(m.multiply(transpose(vectors), vectors), m.identity(n))).toBeLessThan(1e-12);
    expect([...values]).toEqual([...values].sort((x, y) => y - x));
  });

  it.each([
    [5, 3],
    [3, 5],
    [4, 4],
  ])('rebuild a %i x %i matrix from its singular values', (rows, cols) => {
    const a = random(rows, cols, `svd${rows}${cols}`);
    const { left, values, right } = singularValues(a);
    const scaled = { ...left, data: left.data.map((x, i) => x * values[i % values.length]!) };
    expect(largest(m.multiplyTransposed(scaled, right), a)).toBeLessThan(1e-12);
  });

  it('has eigenvalues of matrices whose squares are beyond double precision', () => {
    for (const unit of [1e300, 1e-300]) {
      const { values } = symmetricEigen({ rows: 2, cols: 2, data: Float64Array.of(2 * unit, unit, unit, 2 * unit) });
      expect([...values].map((value) => value / unit)).toEqual([expect.closeTo(3, 12), expect.closeTo(1, 12)]);
    }
  });

  it('refuse what has no decomposition', () => {
    expect(() => symmetricEigen(random(2, 3, 'x'))).toThrow(RangeError);
    expect(() => symmetricEigen(m.matrix(1, 1, [Number.NaN]))).toThrow(/finite/);
  });
});

describe('Cholesky and least squares', () => {
  it('solve a positive definite system', () => {
    const half = random(6, 9, 'half');
    const a = m.multiplyTransposed(half, half);
    const x = stream(7, 'x').normal(6);
    const solved = solveSymmetric(a, m.apply(a, x));
    for (let i = 0; i < 6; i++) {
      expect(solved[i]).toBeCloseTo(x[i]!, 9);
    }
    const lower = cholesky(a);
    expect(largest(m.multiplyTransposed(lower, lower), a)).toBeLessThan(1e-12);
  });

  it('name the pivot of a singular matrix, which a ridge repairs', () => {
    const a = m.matrix(2, 2, [1, 1, 1, 1]);
    expect(() => cholesky(a)).toThrow(SingularMatrixError);
    expect([...solveRidge(a, [1, 1], 1e-9)][0]).toBeCloseTo(0.5, 6);
  });

  it('find the line that noise-free rows lie on, and leave residuals orthogonal to the columns', () => {
    const x = stream(3, 'rows').normal(200);
    const exact = Float64Array.from({ length: 100 }, (_, i) => 2 - x[2 * i]! + 3 * x[2 * i + 1]!);
    const fit = leastSquares(x, exact, 2);
    expect(fit.intercept).toBeCloseTo(2, 10);
    expect([...fit.coefficients].map((c) => Math.round(c * 1e9) / 1e9)).toEqual([-1, 3]);
    const noisy = exact.map((y, i) => y + Math.sin(i * i));
    const weights = Float64Array.from({ length: 100 }, (_, i) => i % 3);
    const weighted = leastSquares(x, noisy, 2, { weights });
    const residuals = noisy.map(
      (y, i) =>
        y - weighted.intercept - weighted.coefficients[0]! * x[2 * i]! - weighted.coefficients[1]! * x[2 * i + 1]!,
    );
    let [sum, along, square] = [0, 0, 0];
    residuals.forEach((r, i) => {
      sum += weights[i]! * r;
      along += weights[i]! * r * x[2 * i]!;
      square += weights[i]! * r * r;
    });
    expect(Math.abs(sum) + Math.abs(along)).toBeLessThan(1e-9);
    expect(weighted.residual).toBeCloseTo(
      square /
        m.dot(
          weights,
          weights.map(() => 1),
        ),
      10,
    );
  });
});
