/** Operations on matrices that only comparisons need. */
import { type Matrix, norm, zeros } from '../../shared/math/matrix.ts';

export function transpose(a: Matrix): Matrix {
  const out = zeros(a.cols, a.rows);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < a.cols; j++) {
      out.data[j * a.rows + i] = a.data[i * a.cols + j]!;
    }
  }
  return out;
}

/** Square root of the sum of squared entries. */
export const frobenius = (a: Matrix): number => norm(a.data);

export const trace = (a: Matrix): number => {
  let sum = 0;
  for (let i = 0; i < Math.min(a.rows, a.cols); i++) {
    sum += a.data[i * a.cols + i]!;
  }
  return sum;
};
