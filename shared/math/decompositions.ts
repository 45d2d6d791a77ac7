/** Symmetric eigenproblem and singular values; ml-matrix does the work, this gives it the project's matrix and order. */
import { EigenvalueDecomposition, Matrix as LibraryMatrix, SingularValueDecomposition } from 'ml-matrix';
import { type Matrix, zeros } from './matrix.ts';

const toLibrary = (a: Matrix): LibraryMatrix => {
  const out = new LibraryMatrix(a.rows, a.cols);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < a.cols; j++) {
      out.set(i, j, a.data[i * a.cols + j]!);
    }
  }
  return out;
};
const pickColumns = (from: LibraryMatrix, order: readonly number[]): Matrix => {
  const out = zeros(from.rows, order.length);
  for (let i = 0; i < from.rows; i++) {
    order.forEach((k, j) => {
      out.data[i * order.length + j] = from.get(i, k);
    });
  }
  return out;
};
const descending = (values: readonly number[]): number[] =>
  values.map((_, i) => i).sort((a, b) => values[b]! - values[a]!);

/** A = V diag(values) V^T with values falling; eigenvectors are the columns of `vectors` (n x n). */
type SymmetricEigen = { values: Float64Array; vectors: Matrix };

/** Raises RangeError for a matrix that is not square or holds a value that is not finite. */
export function symmetricEigen(a: Matrix): SymmetricEigen {
  if (a.rows !== a.cols) {
    throw new RangeError(`an eigenproblem needs a square matrix, got ${a.rows} x ${a.cols}`);
  }
  if (!a.data.every(Number.isFinite)) {
    throw new RangeError('an eigenproblem needs finite entries');
  }
  // By a power of two, so that nothing is rounded: the library squares entries, and loses itself where they overflow.
  const largest = a.data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const unit = largest > 0 ? 2 ** Math.floor(Math.log2(largest)) : 1;
  const scaled = { ...a, data: a.data.map((x) => x / unit) };
  const solved = new EigenvalueDecomposition(toLibrary(scaled), { assumeSymmetric: true });
  const order = descending(solved.realEigenvalues);
  return {
    values: Float64Array.from(order, (k) => solved.realEigenvalues[k]! * unit),
    vectors: pickColumns(solved.eigenvectorMatrix, order),
  };
}

/** A = U diag(values) V^T, values falling, U (rows x r) and V (cols x r) with r = min(rows, cols). */
type SingularValues = { left: Matrix; values: Float64Array; right: Matrix };

export function singularValues(a: Matrix): SingularValues {
  if (!a.data.every(Number.isFinite)) {
    throw new RangeError('a singular value problem needs finite entries');
  }
  const solved = new SingularValueDecomposition(toLibrary(a), { autoTranspose: true });
  const order = descending(solved.diagonal).slice(0, Math.min(a.rows, a.cols));
  return {
    left: pickColumns(solved.leftSingularVectors, order),
    values: Float64Array.from(order, (k) => solved.diagonal[k]!),
    right: pickColumns(solved.rightSingularVectors, order),
  };
}
