/**
 * Products with a block-sparse matrix as a graph, the stored tiles being constants: for every column of tiles the live input
 * tiles are gathered and multiplied by all that is stored for that column in one plain product. Either the columns of x are
 * gathered, or, with x transposed once, its rows: then the wide side of every product is the rows of x, however narrow the tiles.
 */
import * as g from '../../graph/index.ts';
import type { BlockCsr } from '../tiles/block-csr.ts';

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

/** x W for x [rows, p m]; [rows, q n]. */
export function gatheredProduct(x: g.Tensor, matrix: BlockCsr): g.Tensor {
  const { p, m, n } = matrix.grid;
  const rows = x.shape[0]!;
  const tiles = g.reshape(x, [rows, p, m]);
  const parts = columnsOf(matrix).map(({ live, values }) => {
    if (live.length === 0) {
      return zeros(x, n);
    }
    const positions = g.constant(live, [live.length], 'int64');
    const inputs = live.length === p ? x : g.reshape(g.gather(tiles, positions, 1), [rows, live.length * m]);
    return g.matmul(inputs, g.constant(values, [live.length * m, n]));
  });
  return g.concat(parts, 1);
}

/** The same with x and the tiles transposed: what is gathered are whole rows of x, [m, rows] a tile. */
export function transposedProduct(x: g.Tensor, matrix: BlockCsr): g.Tensor {
  const { p, m, n } = matrix.grid;
  const rows = x.shape[0]!;
  const tiles = g.reshape(g.transpose(x, [1, 0]), [p, m, rows]);
  const parts = columnsOf(matrix).map(({ live, values }) => {
    if (live.length === 0) {
      return g.transpose(zeros(x, n), [1, 0]);
    }
    const height = live.length * m;
    const inputs = g.reshape(g.gather(tiles, g.constant(live, [live.length], 'int64'), 0), [height, rows]);
    return g.matmul(g.constant(transposed(values, height, n), [n, height]), inputs);
  });
  return g.transpose(g.concat(parts, 0), [1, 0]);
}

/** [width, height] of [height, width]. */
function transposed(values: Float32Array, height: number, width: number): Float32Array {
  const turned = new Float32Array(values.length);
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      turned[j * height + i] = values[i * width + j]!;
    }
  }
  return turned;
}

/** `n` zeros for each row. */
const zeros = (x: g.Tensor, n: number): g.Tensor => {
  const line = g.zerosLike(g.slice(x, 1, 0, 1));
  return n === 1 ? line : g.concat(new Array<g.Tensor>(n).fill(line), 1);
};
