/**
 * Column sweeps that spread what a weight's change costs over the columns still to come: SparseGPT (Frantar & Alistarh
 * 2023, arXiv:2301.00774) and GPTQ (Frantar et al. 2022, arXiv:2210.17323), in blocks of columns.
 */

import type { Hessian } from '../statistics/hessian.ts';
import type { Products } from '../statistics/products.ts';
import type { Rooms } from '../statistics/rooms.ts';
import { codeOf, type Grid, type GridKind, gridOf, type Rounded } from './grids.ts';
import { markLowest, selected } from './masks.ts';

/** Columns whose corrections are carried one by one; what lies behind them gets theirs in one product. */
const RUN = 16;
const BLOCK = 128;

/** Columns [from, from + width) of a sweep, all rows: [out, width]. */
type Columns = { from: number; width: number; data: Float64Array };
/**
 * Changes columns [run.from, run.from + run.width) of a block in place and sets their `errors` [out, block.width].
 * `standing`: the whole matrix as it stood when the block began.
 */
type RunStep = (run: { from: number; width: number }, block: Columns, errors: Float64Array) => void;
type BlockStart = (block: Columns, standing: Float64Array) => RunStep;

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
  { share, pattern, blockSize = BLOCK, rule = 'exact' }: SparseOptions,
): Promise<Float32Array> {
  const { size, factor } = hessian;
  const rows = w.length / size;
  const unit = pattern?.m ?? 1;
  const choose = pattern ? chooser(pattern, hessian) : null;
  const start: BlockStart = (block) => {
    const { width, data } = block;
    const mask = new Uint8Array(rows * width);
    if (!pattern) {
      maskBlock(products.rooms, block, mask, factor, size, share, rule);
    }
    return (run, { from }, errors) => {
      const first = run.from - from;
      const end = first + run.width;
      for (let at = 0; at < data.length; at += width) {
        for (let j = first; j < end; j++) {
          if (choose && (from + j) % unit === 0) {
            choose(block, mask, at, j);
          }
          if (mask[at + j] === 0) {
            continue;
          }
          const u = (from + j) * size + from;
          const error = data[at + j]! / factor[u + j]!;
          data[at + j] = 0;
          errors[at + j] = error;
          for (let k = j + 1; k < end; k++) {
            data[at + k]! -= error * factor[u + k]!;
          }
        }
      }
    };
  };
  const sizes = { block: multiple(blockSize, unit), run: multiple(RUN, unit) };
  return inOriginalOrder(await sweep(products, w, hessian, sizes, start), hessian);
}

/** The largest multiple of `unit` up to `most`, or `unit` itself. */
const multiple = (most: number, unit: number): number => unit * Math.max(1, Math.floor(most / unit));

/** Marks n of the m columns of one row from column j on, those with the lowest w^2 / U_jj^2 as the sweep stands. */
function chooser({ n, m }: { n: number; m: number }, { size, factor }: Hessian) {
  const chosen = new Float64Array(m);
  const few = new Uint8Array(m);
  const room = new Float64Array(m);
  return ({ from, width, data }: Columns, mask: Uint8Array, at: number, j: number): void => {
    const count = Math.min(m, width - j);
    for (let k = 0; k < count; k++) {
      chosen[k] = (data[at + j + k]! / factor[(from + j + k) * (size + 1)]!) ** 2;
    }
    few.fill(0);
    markLowest(chosen, few, 0, count, Math.floor((n * count) / m), room);
    mask.set(few.subarray(0, count), at + j);
  };
}

/** Marks the entries of a block with the lowest w^2 / U_jj^2. */
function maskBlock(
  rooms: Rooms,
  { from, width, data: block }: Columns,
  mask: Uint8Array,
  factor: Float64Array,
  size: number,
  share: number,
  rule: 'exact' | 'reference',
): void {
  const score = rooms.doubles('score', block.length);
  const pivots = Float64Array.from({ length: width }, (_, j) => factor[(from + j) * (size + 1)]!);
  for (let at = 0; at < block.length; at += width) {
    for (let j = 0; j < width; j++) {
      score[at + j] = (block[at + j]! / pivots[j]!) ** 2;
    }
  }
  const count = Math.floor(share * score.length);
  if (rule === 'exact') {
    markLowest(score, mask, 0, score.length, count, rooms.doubles('selected', score.length));
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
  { kind, bits, group, blockSize = BLOCK }: RoundingOptions,
): Promise<Rounded> {
  const { size, factor, order } = hessian;
  const rows = w.length / size;
  const run = group ?? size;
  const groups = Math.ceil(size / run);
  const codes = new Int16Array(w.length);
  const grids = new Array<Grid>(rows * groups);
  const start: BlockStart =
    (block, standing) =>
    (own, { from, width, data }, errors) => {
      const first = own.from - from;
      const end = first + own.width;
      for (let row = 0; row < rows; row++) {
        const at = row * width;
        for (let j = first; j < end; j++) {
          const column = block.from + j;
          const slot = row * groups + Math.floor(column / run);
          if (column % run === 0) {
            grids[slot] = gridOf(kind, bits, standing, row * size + column, Math.min(run, size - column));
          }
          const grid = grids[slot]!;
          const code = codeOf(data[at + j]!, grid);
          const value = grid.step * (code - grid.zero);
          codes[row * size + column] = code;
          const u = column * size + from;
          const error = (data[at + j]! - value) / factor[u + j]!;
          data[at + j] = value;
          errors[at + j] = error;
          for (let k = j + 1; k < end; k++) {
            data[at + k]! -= error * factor[u + k]!;
          }
        }
      }
    };
  const values = await sweep(products, w, hessian, { block: blockSize, run: RUN }, start);
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

/** Runs over the blocks of columns, and within each over its runs, and carries errors to the columns behind. */
async function sweep(
  products: Products,
  w: Float32Array,
  { size, factor, dead, order }: Hessian,
  sizes: { block: number; run: number },
  start: BlockStart,
): Promise<Float64Array> {
  const rows = w.length / size;
  const { rooms } = products;
  const standing = rooms.doubles('standing', w.length);
  for (let at = 0; at < w.length; at += size) {
    for (let j = 0; j < size; j++) {
      const input = order[j]!;
      standing[at + j] = dead[input] ? 0 : w[at + input]!;
    }
  }
  /** What errors of columns [from, from + width) of the factor's order cost the columns [to, end). */
  const carried = (errors: Float64Array, from: number, width: number, to: number, end: number) => {
    const behind = rooms.doubles('behind', width * (end - to));
    for (let j = 0; j < width; j++) {
      behind.set(factor.subarray((from + j) * size + to, (from + j) * size + end), j * (end - to));
    }
    const shape = { rows: width, cols: end - to, data: behind };
    return products.multiply('float64', { rows, cols: width, data: errors }, shape);
  };
  for (let from = 0; from < size; from += sizes.block) {
    const width = Math.min(sizes.block, size - from);
    const block: Columns = {
      from,
      width,
      data: columns(standing, size, from, width, rooms.doubles('block', rows * width)),
    };
    const errors = rooms.doubles('errors', rows * width).fill(0);
    const step = start(block, standing);
    for (let at = 0; at < width; at += sizes.run) {
      const run = { from: from + at, width: Math.min(sizes.run, width - at) };
      step(run, block, errors);
      const next = at + run.width;
      if (next < width) {
        const own = columns(errors, width, at, run.width, rooms.doubles('run', rows * run.width));
        const change = await carried(own, run.from, run.width, from + next, from + width);
        subtract(block.data, width, next, change, width - next);
      }
    }
    put(standing, size, from, block.data, width);
    const end = from + width;
    if (end < size) {
      subtract(standing, size, end, await carried(errors, from, width, end, size), size - end);
    }
  }
  return standing;
}

/** Columns [from, from + width) of a matrix with rows of `stride`, copied to `out`. */
function columns(matrix: Float64Array, stride: number, from: number, width: number, out: Float64Array): Float64Array {
  for (let to = 0, at = from; to < out.length; to += width, at += stride) {
    out.set(matrix.subarray(at, at + width), to);
  }
  return out;
}

function put(matrix: Float64Array, stride: number, from: number, part: Float64Array, width: number): void {
  for (let row = 0; row * width < part.length; row++) {
    matrix.set(part.subarray(row * width, (row + 1) * width), row * stride + from);
  }
}

function subtract(matrix: Float64Array, stride: number, from: number, change: Float64Array, width: number): void {
  for (let at = 0, to = from; at < change.length; at += width, to += stride) {
    for (let k = 0; k < width; k++) {
      matrix[to + k]! -= change[at + k]!;
    }
  }
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
