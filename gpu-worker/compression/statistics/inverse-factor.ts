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

type Square = { size: number; data: Float64Array };

/** Raises SingularMatrixError where H [size, size] is not positive definite. */
export async function inverseFactor(products: Products, h: Float64Array, size: number): Promise<Float64Array> {
  const inverse = await inverseOfFactor(products, { size, data: reversed(h) }, 0);
  return reversed(inverse.data);
}

/** Rows and columns from last to first. */
const reversed = (square: Float64Array): Float64Array => square.slice().reverse();

async function inverseOfFactor(products: Products, { size, data }: Square, offset: number): Promise<Square> {
  if (size <= LEAF) {
    return leaf({ size, data }, offset);
  }
  const top = Math.floor(size / 2);
  const bottom = size - top;
  const a = await inverseOfFactor(products, { size: top, data: part(data, size, 0, 0, top, top) }, offset);
  // L21 = H21 L11^-T
  const below = await products.multiply(
    'float64',
    { rows: bottom, cols: top, data: part(data, size, top, 0, bottom, top) },
    { rows: top, cols: top, data: a.data },
    { transB: true },
  );
  const left = { rows: bottom, cols: top, data: below };
  const carried = await products.multiply('float64', left, left, { transB: true });
  const rest = part(data, size, top, top, bottom, bottom);
  for (let i = 0; i < rest.length; i++) {
    rest[i]! -= carried[i]!;
  }
  const c = await inverseOfFactor(products, { size: bottom, data: rest }, offset + top);
  const middle = await products.multiply('float64', { rows: bottom, cols: bottom, data: c.data }, left);
  const corner = await products.multiply(
    'float64',
    { rows: bottom, cols: top, data: middle },
    { rows: top, cols: top, data: a.data },
  );
  const out = new Float64Array(size * size);
  for (let i = 0; i < top; i++) {
    out.set(a.data.subarray(i * top, (i + 1) * top), i * size);
  }
  for (let i = 0; i < bottom; i++) {
    const to = (top + i) * size;
    for (let j = 0; j < top; j++) {
      out[to + j] = -corner[i * top + j]!;
    }
    out.set(c.data.subarray(i * bottom, (i + 1) * bottom), to + top);
  }
  return { size, data: out };
}

function leaf({ size, data }: Square, offset: number): Square {
  let lower: Float64Array;
  try {
    lower = cholesky({ rows: size, cols: size, data }).data;
  } catch (error) {
    throw error instanceof SingularMatrixError ? new SingularMatrixError(offset + error.pivot) : error;
  }
  const out = new Float64Array(size * size);
  for (let column = 0; column < size; column++) {
    for (let row = column; row < size; row++) {
      let sum = row === column ? 1 : 0;
      for (let k = column; k < row; k++) {
        sum -= lower[row * size + k]! * out[k * size + column]!;
      }
      out[row * size + column] = sum / lower[row * size + row]!;
    }
  }
  return { size, data: out };
}

function part(data: Float64Array, size: number, row: number, column: number, rows: number, columns: number) {
  const out = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    const from = (row + i) * size + column;
    out.set(data.subarray(from, from + columns), i * columns);
  }
  return out;
}
