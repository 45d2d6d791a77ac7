/** Block compressed sparse rows, as torch's BSR layout names them: live tiles alone, columns ascending within a tile row. */
import { eachTileRow, type Grid, liveTiles } from './tiles.ts';

export type BlockCsr = {
  grid: Grid;
  /** [p + 1]: where each tile row begins among the live tiles. */
  crowIndices: BigInt64Array;
  /** [live]: tile column of each. */
  colIndices: BigInt64Array;
  /** [live, m, n]. */
  values: Float32Array;
};

/** @param weight [p m, q n]; tiles that are all zero are left out */
export function toBlockCsr(weight: ArrayLike<number>, grid: Grid): BlockCsr {
  const { p, q, m, n } = grid;
  const live = liveTiles(weight, grid);
  const place = new Int32Array(p * q).fill(-1);
  const crowIndices = new BigInt64Array(p + 1);
  const columns: number[] = [];
  live.forEach((alive, tile) => {
    if (alive) {
      place[tile] = columns.push(tile % q) - 1;
    }
    if ((tile + 1) % q === 0) {
      crowIndices[(tile + 1) / q] = BigInt(columns.length);
    }
  });
  const values = new Float32Array(columns.length * m * n);
  eachTileRow(grid, (tile, offset, row) => {
    const at = place[tile]!;
    if (at < 0) {
      return;
    }
    for (let l = 0; l < n; l++) {
      values[(at * m + row) * n + l] = weight[offset + l]!;
    }
  });
  return { grid, crowIndices, colIndices: BigInt64Array.from(columns, BigInt), values };
}

/** The dense matrix, row-major. */
export function fromBlockCsr({ grid, crowIndices, colIndices, values }: BlockCsr): Float32Array {
  const { p, q, m, n } = grid;
  const weight = new Float32Array(p * m * q * n);
  for (let a = 0; a < p; a++) {
    for (let at = Number(crowIndices[a]); at < Number(crowIndices[a + 1]); at++) {
      for (let k = 0; k < m; k++) {
        const from = (at * m + k) * n;
        weight.set(values.subarray(from, from + n), (a * m + k) * q * n + Number(colIndices[at]) * n);
      }
    }
  }
  return weight;
}
