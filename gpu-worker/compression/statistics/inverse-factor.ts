/**
 * The factor that column sweeps correct by: U upper triangular with U^T U = H^-1, in double precision.
 *
 * With the order of rows and columns reversed, H = L L^T; then U is L^-1 reversed again. The inverse of L is built by
 * halves, [[A, 0], [B, C]]^-1 = [[A^-1, 0], [-C^-1 B A^-1, C^-1]], so that nearly all work is matrix products.
 */
import { cholesky, SingularMatrixError } from '../../../shared/math/cholesky.ts';
import type { Products } from './products.ts';

/** Sizes that are factorised entry by entry. */
const LEAF = 96;

/** A square on the diagonal of a matrix with rows of `stride`, which it is replaced in. */
type Window = { data: Float64Array; stride: number; at: number; size: number };

/** The factor, in the place of H. Raises SingularMatrixError where H [size, size] is not positive definite. */
export async function inverseFactor(products: Products, h: Float64Array, size: number): Promise<Float64Array> {
  // Rows and columns from last to first, and back.
  await invertFactor(products, { data: h.reverse(), stride: size, at: 0, size });
  return h.reverse();
}

/** Replaces a symmetric square H = L L^T by L^-1; nothing but operands of products is copied, as squares may be large. */
async function invertFactor(products: Products, window: Window): Promise<void> {
  const { data, stride, at, size } = window;
  if (size <= LEAF) {
    leaf(window);
    return;
  }
  const top = Math.floor(size / 2);
  const middle = at + top;
  const bottom = size - top;
  const part = (row: number, rows: number, column: number, cols: number) => ({
    rows,
    cols,
    data: copied(data, stride, [row, rows], [column, cols]),
  });
  await invertFactor(products, { data, stride, at, size: top });
  // L21 = H21 L11^-T
  const left = {
    rows: bottom,
    cols: top,
    data: await products.multiply('float64', part(middle, bottom, at, top), part(at, top, at, top), { transB: true }),
  };
  const carried = await products.multiply('float64', left, left, { transB: true });
  for (let row = 0; row < bottom; row++) {
    const to = (middle + row) * stride + middle;
    for (let column = 0; column < bottom; column++) {
      data[to + column]! -= carried[row * bottom + column]!;
    }
  }
  await invertFactor(products, { data, stride, at: middle, size: bottom });
  const under = await products.multiply('float64', part(middle, bottom, middle, bottom), left);
  const corner = await products.multiply('float64', { rows: bottom, cols: top, data: under }, part(at, top, at, top));
  for (let row = 0; row < bottom; row++) {
    const to = (middle + row) * stride + at;
    for (let column = 0; column < top; column++) {
      data[to + column] = -corner[row * top + column]!;
    }
  }
  for (let row = at; row < middle; row++) {
    data.fill(0, row * stride + middle, row * stride + at + size);
  }
}

function leaf({ data, stride, at, size }: Window): void {
  let lower: Float64Array;
  try {
    lower = cholesky({ rows: size, cols: size, data: copied(data, stride, [at, size], [at, size]) }).data;
  } catch (error) {
    throw error instanceof SingularMatrixError ? new SingularMatrixError(at + error.pivot) : error;
  }
  for (let column = 0; column < size; column++) {
    for (let row = 0; row < size; row++) {
      let sum = row === column ? 1 : 0;
      for (let k = column; k < row; k++) {
        sum -= lower[row * size + k]! * data[(at + k) * stride + at + column]!;
      }
      data[(at + row) * stride + at + column] = row < column ? 0 : sum / lower[row * size + row]!;
    }
  }
}

function copied(
  data: Float64Array,
  stride: number,
  [row, rows]: readonly [number, number],
  [column, columns]: readonly [number, number],
): Float64Array {
  const out = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    const from = (row + i) * stride + column;
    out.set(data.subarray(from, from + columns), i * columns);
  }
  return out;
}
