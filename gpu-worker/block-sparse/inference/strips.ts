/** A block-sparse matrix cut into strips of eight outputs, the width that the kernel keeps in registers. */
import type { BlockCsr } from '../tiles/block-csr.ts';

export const STRIP = 8;

type Strips = {
  /** [strips + 1]: where each strip begins among the entries. */
  starts: Int32Array;
  /** [entries]: tile row of each; a strip's entries are the tile rows with a live tile among its outputs, ascending. */
  tileRows: Int32Array;
  /** [entries, m, STRIP]; outputs beyond the last, and those of dead tiles within a strip, are zeros. */
  values: Float32Array;
};

/** Places of the live tiles of every tile column, by tile row. */
function tilesByColumn({ grid, crowIndices, colIndices }: BlockCsr): Map<number, number>[] {
  const columns = Array.from({ length: grid.q }, () => new Map<number, number>());
  for (let a = 0; a < grid.p; a++) {
    for (let at = Number(crowIndices[a]); at < Number(crowIndices[a + 1]); at++) {
      columns[Number(colIndices[at])]?.set(a, at);
    }
  }
  return columns;
}

export function stripsOf(matrix: BlockCsr): Strips {
  const { p, q, m, n } = matrix.grid;
  const columns = tilesByColumn(matrix);
  const count = Math.ceil((q * n) / STRIP);
  const starts = new Int32Array(count + 1);
  const tileRows: number[] = [];
  for (let strip = 0; strip < count; strip++) {
    const first = Math.floor((strip * STRIP) / n);
    const last = Math.floor((Math.min((strip + 1) * STRIP, q * n) - 1) / n);
    const touched = columns.slice(first, last + 1);
    for (let a = 0; a < p; a++) {
      if (touched.some((column) => column.has(a))) {
        tileRows.push(a);
      }
    }
    starts[strip + 1] = tileRows.length;
  }
  const values = new Float32Array(tileRows.length * m * STRIP);
  for (let strip = 0; strip < count; strip++) {
    for (let entry = starts[strip]!; entry < starts[strip + 1]!; entry++) {
      for (let l = 0; l < STRIP; l++) {
        const output = strip * STRIP + l;
        const tile = columns[Math.floor(output / n)]?.get(tileRows[entry]!);
        for (let k = 0; tile !== undefined && k < m; k++) {
          values[(entry * m + k) * STRIP + l] = matrix.values[(tile * m + k) * n + (output % n)]!;
        }
      }
    }
  }
  return { starts, tileRows: Int32Array.from(tileRows), values };
}
