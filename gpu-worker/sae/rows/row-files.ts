/** Many files of rows as one long array of them, in the order given: what is made of it does not depend on where a file ends. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { type RawRows, type RowRange, readRanges } from './raw-rows.ts';

/** Most rows in all, so that a row's number is an int32. */
const MOST_ROWS = 2 ** 31 - 1;

/** Rows that follow one another. */
export type Stretch = { from: number; count: number };

export class RowFiles {
  readonly rows: number;
  readonly width: number;
  readonly #files: readonly RawRows[];
  /** Number of the first row of each file. */
  readonly #starts: number[] = [];

  /** @throws SextantError `data_invalid` for files of several widths, or of more than 2^31 rows */
  constructor(files: readonly RawRows[]) {
    const [first] = files;
    if (!first) {
      throw new SextantError('data_invalid', 'there is no file of activations');
    }
    const other = files.find(({ width }) => width !== first.width);
    if (other) {
      throw new SextantError(
        'data_invalid',
        `${other.name} has rows of ${other.width} numbers, ${first.name} of ${first.width}; all need one width`,
      );
    }
    let rows = 0;
    for (const file of files) {
      this.#starts.push(rows);
      rows += file.rows;
    }
    if (rows > MOST_ROWS) {
      throw new SextantError('data_invalid', `${rows} rows; at most ${MOST_ROWS} in one job`);
    }
    this.rows = rows;
    this.width = first.width;
    this.#files = files;
  }

  /**
   * The rows of these stretches one after another [rows, width]. Files are read from front to back, whatever the order.
   * @throws SextantError `not_finite` naming the first file and row that holds NaN or infinity
   */
  read(stretches: readonly Stretch[]): Float32Array {
    const out = new Float32Array(stretches.reduce((sum, { count }) => sum + count, 0) * this.width);
    const byFile = new Map<number, RowRange[]>();
    let to = 0;
    for (const { from, count } of stretches) {
      for (let at = from; at < from + count; ) {
        const file = this.#fileOf(at);
        const start = this.#starts[file] ?? 0;
        const take = Math.min(from + count, start + (this.#files[file]?.rows ?? 0)) - at;
        const ranges = byFile.get(file) ?? [];
        ranges.push({ from: at - start, count: take, to: to + at - from });
        byFile.set(file, ranges);
        at += take;
      }
      to += count;
    }
    for (const [file, ranges] of [...byFile].sort(([a], [b]) => a - b)) {
      ranges.sort((a, b) => a.from - b.from);
      const of = this.#files[file];
      if (of) {
        readRanges(of, ranges, out);
        this.#requireFinite(of.name, ranges, out);
      }
    }
    return out;
  }

  #fileOf(row: number): number {
    let [low, high] = [0, this.#starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#starts[middle] ?? 0) <= row) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }

  #requireFinite(name: string, ranges: readonly RowRange[], out: Float32Array): void {
    for (const { from, count, to } of ranges) {
      for (let i = to * this.width; i < (to + count) * this.width; i++) {
        if (!Number.isFinite(out[i])) {
          const row = from + Math.floor(i / this.width) - to;
          throw new SextantError('not_finite', `${name}: row ${row} holds ${out[i]} at place ${i % this.width}`);
        }
      }
    }
  }
}
