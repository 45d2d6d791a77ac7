/** Cholesky factor of a symmetric positive definite matrix, and the solves built on it. */
import { type Matrix, zeros } from './matrix.ts';

/** Raised for a matrix that is not positive definite: its rank is below its size. */
export class SingularMatrixError extends Error {
  /** Index of the first pivot that is not positive. */
  readonly pivot: number;
  constructor(pivot: number) {
    super(`the matrix is not positive definite (pivot ${pivot}); a ridge or fewer columns would make it so`);
    this.name = 'SingularMatrixError';
    this.pivot = pivot;
  }
}

/** Lower triangular L with A = L L^T. A pivot below `tolerance` times its diagonal entry counts as zero. */
export function cholesky(a: Matrix, tolerance = 1e-13): Matrix {
  if (a.rows !== a.cols) {
    throw new RangeError(`a Cholesky factor needs a square matrix, got ${a.rows} x ${a.cols}`);
  }
  const n = a.rows;
  const lower = zeros(n, n);
  const l = lower.data;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a.data[i * n + j]!;
      for (let k = 0; k < j; k++) {
        sum -= l[i * n + k]! * l[j * n + k]!;
      }
      if (i !== j) {
        l[i * n + j] = sum / l[j * n + j]!;
      } else if (!(sum > tolerance * Math.abs(a.data[i * n + i]!))) {
        throw new SingularMatrixError(i);
      } else {
        l[i * n + i] = Math.sqrt(sum);
      }
    }
  }
  return lower;
}

/** Solves L L^T x = b, given the factor. */
export function choleskySolve(lower: Matrix, b: ArrayLike<number>): Float64Array {
  const { rows: n, data: l } = lower;
  const x = Float64Array.from(b);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) {
      x[i]! -= l[i * n + k]! * x[k]!;
    }
    x[i]! /= l[i * n + i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) {
      x[i]! -= l[k * n + i]! * x[k]!;
    }
    x[i]! /= l[i * n + i]!;
  }
  return x;
}

/** Solves A x = b for a symmetric positive definite A. Raises SingularMatrixError. */
export const solveSymmetric = (a: Matrix, b: ArrayLike<number>): Float64Array => choleskySolve(cholesky(a), b);

/** Solves (A + ridge * mean diagonal * I) x = b: the ridge is relative, so that units of A do not matter. */
export function solveRidge(a: Matrix, b: ArrayLike<number>, ridge: number): Float64Array {
  const n = a.rows;
  let total = 0;
  for (let i = 0; i < n; i++) {
    total += a.data[i * n + i]!;
  }
  const ridged = { rows: n, cols: n, data: a.data.slice() };
  for (let i = 0; i < n; i++) {
    ridged.data[i * n + i]! += (ridge * total) / n;
  }
  return solveSymmetric(ridged, b);
}
