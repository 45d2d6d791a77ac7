/** Sums of products of a layer's inputs over all tokens: X^T X, from which every method takes what it needs. */
import type { Products } from './products.ts';
import type { Rooms } from './rooms.ts';

/** Rows of one product in single precision; their sums are kept in double. */
const ROWS = 2048;
/** Blocks of columns: only those on and below the diagonal are computed. */
const BLOCK = 256;

export class Gram {
  readonly size: number;
  /** X^T X [size, size], the part above the diagonal filled by `finish`. */
  readonly sums: Float64Array;
  tokens = 0;

  constructor(size: number) {
    this.size = size;
    this.sums = new Float64Array(size * size);
  }

  /** Adds the rows of x [rows, size]. */
  async add(products: Products, x: Float32Array): Promise<void> {
    const { size, sums } = this;
    const rows = x.length / size;
    for (let from = 0; from < rows; from += ROWS) {
      const part = x.subarray(from * size, Math.min(rows, from + ROWS) * size);
      const count = part.length / size;
      const blocks = columnBlocks(part, count, size, products.rooms);
      for (const [i, left] of blocks.entries()) {
        for (const right of blocks.slice(0, i + 1)) {
          const product = await products.multiply(
            'float32',
            { rows: count, cols: left.width, data: left.data },
            { rows: count, cols: right.width, data: right.data },
            { transA: true },
          );
          for (let r = 0; r < left.width; r++) {
            const to = (left.from + r) * size + right.from;
            const at = r * right.width;
            for (let c = 0; c < right.width; c++) {
              sums[to + c]! += product[at + c]!;
            }
          }
        }
      }
    }
    this.tokens += rows;
  }

  /** Mirrors the part below the diagonal. */
  finish(): this {
    const { size, sums } = this;
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < i; j++) {
        sums[j * size + i] = sums[i * size + j]!;
      }
    }
    return this;
  }

  /** Euclidean norm of each input over all tokens. */
  norms(): Float64Array {
    return Float64Array.from({ length: this.size }, (_, j) => Math.sqrt(this.sums[j * this.size + j]!));
  }
}

type Columns = { from: number; width: number; data: Float32Array };

function columnBlocks(x: Float32Array, rows: number, size: number, rooms: Rooms): Columns[] {
  if (size <= BLOCK) {
    return [{ from: 0, width: size, data: x }];
  }
  const blocks: Columns[] = [];
  for (let from = 0; from < size; from += BLOCK) {
    const width = Math.min(BLOCK, size - from);
    const data = rooms.singles(`columns ${from}`, rows * width);
    for (let row = 0; row < rows; row++) {
      data.set(x.subarray(row * size + from, row * size + from + width), row * width);
    }
    blocks.push({ from, width, data });
  }
  return blocks;
}

/** Sum over the tokens of |D x|^2 for D [out, size]: trace(D X^T X D^T). */
export async function outputEnergy(products: Products, gram: Gram, d: Float32Array): Promise<number> {
  const rows = d.length / gram.size;
  const sums = { rows: gram.size, cols: gram.size, data: Float32Array.from(gram.sums) };
  const carried = await products.multiply('float32', { rows, cols: gram.size, data: d }, sums);
  let total = 0;
  for (let i = 0; i < d.length; i++) {
    total += d[i]! * carried[i]!;
  }
  return total;
}
