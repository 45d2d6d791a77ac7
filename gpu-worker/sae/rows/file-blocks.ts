/**
 * Activations in files as blocks to learn from. The rows are cut into runs that follow one another; a part of the runs is
 * held out, and in every epoch the others are drawn in a new order by the seed, over all files. A block holds whole runs, so
 * that the disk is read in pieces, and its rows are shuffled once more where batches are made of it.
 */
import { stream } from '../../../shared/math/random.ts';
import type { HeldOut } from '../measures/held-out.ts';
import type { BlockReader } from '../training/activation-source.ts';
import type { RowFiles, Stretch } from './row-files.ts';
import { permutation } from './shuffle.ts';

/** Rows of a run: a read of 100 kB at the widths of large models. */
const RUN = 32;
/** At most this share of the rows is held out. */
const HELD_SHARE = 0.1;

export class FileBlocks implements BlockReader {
  readonly width: number;
  readonly noun = 'rows of the files';
  readonly #files: RowFiles;
  readonly #seed: number;
  readonly #runs: number;
  readonly #held: number;
  readonly #inOrder: (place: number) => number;
  readonly #blocks: number;

  /** @param block rows of a block, about; `held` rows that are kept for evaluation at most */
  constructor(files: RowFiles, { block, held, seed }: { block: number; held: number; seed: number }) {
    this.width = files.width;
    this.#files = files;
    this.#seed = seed;
    this.#runs = Math.ceil(files.rows / RUN);
    const kept = Math.ceil(Math.min(held, HELD_SHARE * files.rows) / RUN);
    // A single run serves both.
    this.#held = Math.min(kept, Math.max(0, this.#runs - 1));
    this.#inOrder = permutation(this.#runs, stream(seed, 'sae/files/held-out'));
    this.#blocks = Math.max(1, Math.round((this.#trained * RUN) / block));
  }

  get #trained(): number {
    return this.#runs - this.#held;
  }

  /** Rows that are learned from. */
  get trainedRows(): number {
    const held = Array.from({ length: this.#held }, (_, place) => this.#stretch(this.#inOrder(place)).count);
    return this.#files.rows - held.reduce((sum, count) => sum + count, 0);
  }

  async *blocks(from: number): AsyncGenerator<() => Promise<Float32Array>, void, void> {
    for (let number = from; ; number++) {
      const epoch = Math.floor(number / this.#blocks);
      const within = number % this.#blocks;
      yield async () => {
        const order = permutation(this.#trained, stream(this.#seed, `sae/files/${epoch}`));
        const [first, end] = [within, within + 1].map((i) => Math.floor((this.#trained * i) / this.#blocks));
        const stretches: Stretch[] = [];
        for (let place = first ?? 0; place < (end ?? 0); place++) {
          stretches.push(this.#stretch(this.#inOrder(this.#held + order(place))));
        }
        return this.#files.read(stretches);
      };
    }
  }

  /** The rows that are kept for evaluation; where they stand is said by their numbers over all files. */
  heldOut(): HeldOut {
    const runs = Array.from({ length: Math.max(1, this.#held) }, (_, place) => this.#inOrder(place));
    return rowsOf(
      this.#files,
      runs.sort((a, b) => a - b).map((run) => this.#stretch(run)),
    );
  }

  #stretch(run: number): Stretch {
    return { from: run * RUN, count: Math.min(RUN, this.#files.rows - run * RUN) };
  }
}

/** A sample of at most `most` rows, in the order of the files: all of them where there are not more. */
export function sampleRows(files: RowFiles, most: number, seed: number): HeldOut {
  if (files.rows <= most) {
    return rowsOf(files, runsOf(0, files.rows));
  }
  const runs = Math.ceil(files.rows / RUN);
  const order = permutation(runs, stream(seed, 'sae/files/sample'));
  const chosen = Array.from({ length: Math.ceil(most / RUN) + 1 }, (_, place) => order(place)).sort((a, b) => a - b);
  const stretches: Stretch[] = [];
  let room = most;
  for (const run of chosen) {
    const count = Math.min(RUN, files.rows - run * RUN, room);
    stretches.push({ from: run * RUN, count });
    room -= count;
  }
  return rowsOf(
    files,
    stretches.filter(({ count }) => count > 0),
  );
}

const runsOf = (from: number, count: number): Stretch[] =>
  Array.from({ length: Math.ceil(count / RUN) }, (_, i) => ({
    from: from + i * RUN,
    count: Math.min(RUN, count - i * RUN),
  }));

/** A stretch stands where a sequence does for text: rows within one are alike. */
function rowsOf(files: RowFiles, stretches: readonly Stretch[]): HeldOut {
  const rows = stretches.flatMap(({ from, count }) => Array.from({ length: count }, (_, i) => from + i));
  const places = stretches.flatMap(({ count }) => Array.from({ length: count }, (_, i) => i));
  const numbers = stretches.flatMap(({ count }, stretch) => new Array<number>(count).fill(stretch));
  return {
    x: files.read(stretches),
    tokens: Int32Array.from(rows),
    sequences: Int32Array.from(numbers),
    positions: Int32Array.from(places),
    ids: [],
  };
}
