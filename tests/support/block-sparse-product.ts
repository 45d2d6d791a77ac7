/**
 * Products with a block-sparse matrix, the stored tiles being constants: for every column of tiles the live input tiles are
 * gathered and multiplied by all that is stored for that column in one plain product.
 */

import type { BlockCsr } from '../../gpu-worker/block-sparse/block-csr.ts';
import * as g from '../../gpu-worker/graph/index.ts';

/** Tile column: rows of its live tiles in the grid, ascending, and their values one below the other, [live m, n]. */
type Column = { live: number[]; values: Float32Array };

function columnsOf({ grid, crowIndices, colIndices, values }: BlockCsr): Column[] {
  const size = grid.m * grid.n;
  const places = Array.from({ length: grid.q }, () => ({ live: [] as number[], at: [] as number[] }));
  for (let a = 0; a < grid.p; a++) {
    for (let at = Number(crowIndices[a]); at < Number(crowIndices[a + 1]); at++) {
      const column = places[Number(colIndices[at])];
      column?.live.push(a);
      column?.at.push(at);
    }
  }
  return places.map(({ live, at }) => {
    const below = new Float32Array(live.length * size);
    at.forEach((tile, k) => {
      below.set(values.subarray(tile * size, (tile + 1) * size), k * size);
    });
    return { live, values: below };
  });
}

/** From this width of a tile on, rows are gathered as they lie; narrower tiles are multiplied with inputs turned. */
const WIDE = 32;

/** x W for x [rows, p m]; [rows, q n]. */
export function blockSparseProduct(x: g.Tensor, matrix: BlockCsr): g.Tensor {
  const columns = columnsOf(matrix);
  return matrix.grid.n >= WIDE ? byRows(x, matrix, columns) : turned(x, matrix, columns);
}

const positions = (live: readonly number[]): g.Tensor => g.constant(live, [live.length], 'int64');

function byRows(x: g.Tensor, { grid: { p, m, n } }: BlockCsr, columns: readonly Column[]): g.Tensor {
  const rows = x.shape[0]!;
  const tiles = g.reshape(x, [rows, p, m]);
  const parts = columns.map(({ live, values }) => {
    if (live.length === 0) {
      return zeros(x, 1, n);
    }
    const inputs = live.length === p ? x : g.reshape(g.gather(tiles, positions(live), 1), [rows, live.length * m]);
    return g.matmul(inputs, g.constant(values, [live.length * m, n]));
  });
  return g.concat(parts, 1);
}

function turned(x: g.Tensor, { grid: { p, m, n } }: BlockCsr, columns: readonly Column[]): g.Tensor {
  const rows = x.shape[0]!;
  const features = g.transpose(x);
  const tiles = g.reshape(features, [p, m, rows]);
  const parts = columns.map(({ live, values }) => {
    if (live.length === 0) {
      return zeros(features, 0, n);
    }
    const inputs =
      live.length === p ? features : g.reshape(g.gather(tiles, positions(live), 0), [live.length * m, rows]);
    const across = Float32Array.from(
      values,
      (_, i) => values[(i % (live.length * m)) * n + Math.floor(i / (live.length * m))]!,
    );
    return g.matmul(g.constant(across, [n, live.length * m]), inputs);
  });
  return g.transpose(g.concat(parts, 0));
}

/** `n` zeros in place of each number along an axis' first place. */
const zeros = (x: g.Tensor, axis: 0 | 1, n: number): g.Tensor => {
  const line = g.zerosLike(g.slice(x, axis, 0, 1));
  return n === 1 ? line : g.concat(new Array<g.Tensor>(n).fill(line), axis);
};
