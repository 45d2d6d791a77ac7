/**
 * Column sweeps that spread what a weight's change costs over the columns still to come: SparseGPT (Frantar & Alistarh
 * 2023, arXiv:2301.00774) and GPTQ (Frantar et al. 2022, arXiv:2210.17323), in blocks of columns.
 */
import type { Products } from '../products.ts';
import { codeOf, type Grid, type GridKind, gridOf, type Rounded } from './grids.ts';
import type { Hessian } from './hessian.ts';
import { markLowest, selected } from './masks.ts';

/** Changes columns [from, to) of a block in place: `block` [out, width], and sets `errors` [out, width] of each column. */
type BlockStep = (block: Float64Array, errors: Float64Array, from: number, width: number, w: Float64Array) => void;

type SparseOptions = {
  share: number;
  /** Two of four: n of every m inputs, chosen when the sweep reaches the first of them. */
  pattern?: { n: number; m: number } | undefined;
  blockSize?: number;
  /** Zeros per block: exactly floor(share * count), or as the reference implementation, all up to the score of that rank. */
  rule?: 'exact' | 'reference';
};

/** W with a share of zeros, the rest corrected. W [out, in]. */
export async function sparseSweep(
  products: Products,
  w: Float32Array,
  hessian: Hessian,
  { share, pattern, blockSize = 128, rule = 'exact' }: SparseOptions,
): Promise<Float32Array> {
  const { size, factor } = hessian;
  const rows = w.length / size;
  const step: BlockStep = (block, errors, from, width) => {
    const mask = new Uint8Array(rows * width);
    if (!pattern) {
      maskBlock(block, mask, factor, size, from, width, share, rule);
    }
    const chosen = pattern ? new Float64Array(pattern.m) : null;
    const few = pattern ? new Uint8Array(pattern.m) : null;
    for (let row = 0; row < rows; row++) {
      const at = row * width;
      for (let j = 0; j < width; j++) {
        const pivot = factor[(from + j) * size + from + j]!;
        if (pattern && chosen && few && (from + j) % pattern.m === 0) {
          const count = Math.min(pattern.m, width - j);
          for (let k = 0; k < count; k++) {
            chosen[k] = (block[at + j + k]! / factor[(from + j + k) * size + from + j + k]!) ** 2;
          }
          few.fill(0);
          markLowest(chosen, few, 0, count, Math.floor((pattern.n * count) / pattern.m));
          for (let k = 0; k < count; k++) {
            mask[at + j + k] = few[k]!;
          }
        }
        if (!mask[at + j]) {
          continue;
        }
        const error = block[at + j]! / pivot;
        block[at + j] = 0;
        errors[at + j] = error;
        const u = (from + j) * size + from;
        for (let k = j + 1; k < width; k++) {
          block[at + k]! -= error * factor[u + k]!;
        }
      }
    }
  };
  return inOriginalOrder(await sweep(products, w, hessian, blockSize, step), hessian);
}

/** Marks the entries of a block with the lowest w^2 / U_jj^2. */
function maskBlock(
  block: Float64Array,
  mask: Uint8Array,
  factor: Float64Array,
  size: number,
  from: number,
  width: number,
  share: number,
  rule: 'exact' | 'reference',
): void {
  const score = new Float64Array(block.length);
  for (let i = 0; i < block.length; i++) {
    const j = from + (i % width);
    score[i] = (block[i]! / factor[j * size + j]!) ** 2;
  }
  const count = Math.floor(share * score.length);
  if (rule === 'exact') {
    markLowest(score, mask, 0, score.length, count);
    return;
  }
  const threshold = selected(score.slice(), Math.min(count, score.length - 1));
  for (let i = 0; i < score.length; i++) {
    if (score[i]! <= threshold) {
      mask[i] = 1;
    }
  }
}

type RoundingOptions = { kind: GridKind; bits: number; group: number | null; blockSize?: number };

/**
 * W rounded to a grid, later columns corrected for what rounding changed. Groups are runs in the order of the sweep; the
 * grid of a group is taken from the weights as they stood when the block began in which the group begins.
 */
export async function roundingSweep(
  products: Products,
  w: Float32Array,
  hessian: Hessian,
  { kind, bits, group, blockSize = 128 }: RoundingOptions,
): Promise<Rounded> {
  const { size, factor, order } = hessian;
  const rows = w.length / size;
  const run = group ?? size;
  const groups = Math.ceil(size / run);
  const codes = new Int16Array(w.length);
  const grids = new Array<Grid>(rows * groups);
  const step: BlockStep = (block, errors, from, width, standing) => {
    for (let row = 0; row < rows; row++) {
      const at = row * width;
      for (let j = 0; j < width; j++) {
        const column = from + j;
        const slot = row * groups + Math.floor(column / run);
        if (column % run === 0) {
          grids[slot] = gridOf(kind, bits, standing, row * size + column, Math.min(run, size - column));
        }
        const grid = grids[slot]!;
        const code = codeOf(block[at + j]!, grid);
        const value = grid.step * (code - grid.zero);
        codes[row * size + column] = code;
        const error = (block[at + j]! - value) / factor[column * size + column]!;
        block[at + j] = value;
        errors[at + j] = error;
        const u = column * size + from;
        for (let k = j + 1; k < width; k++) {
          block[at + k]! -= error * factor[u + k]!;
        }
      }
    }
  };
  const values = await sweep(products, w, hessian, blockSize, step);
  const groupOf = new Int32Array(size);
  for (let j = 0; j < size; j++) {
    groupOf[order[j]!] = Math.floor(j / run);
  }
  return {
    values: inOriginalOrder(values, hessian),
    codes: inOriginalOrder(codes, hessian),
    scales: Float32Array.from(grids, ({ step }) => step),
    zeros: Float32Array.from(grids, ({ zero }) => zero),
    groups,
    groupOf,
  };
}

/** Runs `step` over the blocks and carries each block's errors to the columns behind it. */
async function sweep(
  products: Products,
  w: Float32Array,
  { size, factor, dead, order }: Hessian,
  blockSize: number,
  step: BlockStep,
): Promise<Float64Array> {
  const rows = w.length / size;
  const standing = new Float64Array(w.length);
  for (let row = 0; row < rows; row++) {
    for (let j = 0; j < size; j++) {
      const input = order[j]!;
      standing[row * size + j] = dead[input] ? 0 : w[row * size + input]!;
    }
  }
  for (let from = 0; from < size; from += blockSize) {
    const width = Math.min(blockSize, size - from);
    const block = new Float64Array(rows * width);
    const errors = new Float64Array(rows * width);
    for (let row = 0; row < rows; row++) {
      const at = row * size + from;
      block.set(standing.subarray(at, at + width), row * width);
    }
    step(block, errors, from, width, standing);
    for (let row = 0; row < rows; row++) {
      standing.set(block.subarray(row * width, (row + 1) * width), row * size + from);
    }
    const rest = size - from - width;
    if (rest === 0) {
      continue;
    }
    const behind = new Float64Array(width * rest);
    for (let j = 0; j < width; j++) {
      const at = (from + j) * size + from + width;
      behind.set(factor.subarray(at, at + rest), j * rest);
    }
    const carried = await products.multiply(
      'float64',
      { rows, cols: width, data: errors },
      { rows: width, cols: rest, data: behind },
    );
    for (let row = 0; row < rows; row++) {
      const to = row * size + from + width;
      for (let k = 0; k < rest; k++) {
        standing[to + k]! -= carried[row * rest + k]!;
      }
    }
  }
  return standing;
}

/** Columns back from the order of the sweep. */
function inOriginalOrder(values: Float64Array, hessian: Hessian): Float32Array;
function inOriginalOrder(values: Int16Array, hessian: Hessian): Int16Array;
function inOriginalOrder(values: Float64Array | Int16Array, { size, order }: Hessian): Float32Array | Int16Array {
  const out = values instanceof Float64Array ? new Float32Array(values.length) : new Int16Array(values.length);
  for (let at = 0; at < values.length; at += size) {
    for (let j = 0; j < size; j++) {
      out[at + order[j]!] = values[at + j]!;
    }
  }
  return out;
}
