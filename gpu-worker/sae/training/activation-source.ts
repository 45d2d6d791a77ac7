/**
 * Batches of activations for training. They come in blocks, from a model over text or from files; the rows of a block are
 * shuffled by the block's number, so that from any position on the same batches come.
 */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { quantile } from '../../../shared/math/quantile.ts';
import { stream } from '../../../shared/math/random.ts';

/** Where blocks of rows come from, without end. */
export type BlockReader = {
  /** Numbers of a row. */
  readonly width: number;
  /** What rows are here, for messages. */
  readonly noun: string;
  /** The blocks from a number on; one that nobody asks for is passed over cheaply. */
  blocks(from: number): AsyncGenerator<() => Promise<Float32Array>, void, void>;
};

type SourceOptions = {
  reader: BlockReader;
  /** Rows of a batch. */
  rows: number;
  seed: number;
  /** Rows longer than this many times the median norm of the first block are left out (massive activations). */
  normCap: number | null;
};

/** Where a batch comes from: number of the block, of the batch in it. */
export type SourcePosition = { block: number; batch: number };
type SourceBatch = { x: Float32Array; next: SourcePosition };

export class ActivationSource {
  readonly width: number;
  readonly #options: SourceOptions;
  /** Largest norm kept; known once the first block was seen. */
  #limit: number | null = null;
  /** The first block from the time it was looked at until it is trained on, so that it is read once. */
  #first: Float32Array | null = null;

  constructor(options: SourceOptions) {
    this.width = options.reader.width;
    this.#options = options;
  }

  /** The rows of the first block in the order they were read: the sample that statistics are taken of. */
  async sample(): Promise<Float32Array> {
    this.#first ??= await this.#firstBlock();
    return this.#first;
  }

  async #firstBlock(): Promise<Float32Array> {
    for await (const read of this.#options.reader.blocks(0)) {
      return this.#kept(await read());
    }
    throw new SextantError('data_invalid', `there are no ${this.#options.reader.noun}`);
  }

  /** Batches from a position on, without end. */
  async *batches(from: SourcePosition = { block: 0, batch: 0 }): AsyncGenerator<SourceBatch, void, void> {
    const { rows, seed, reader, normCap } = this.#options;
    if (from.block > 0 && this.#limit === null && normCap !== null) {
      await this.#firstBlock();
    }
    let known = from.block === 0 ? this.#first : null;
    this.#first = null;
    let block = from.block;
    let first = from.batch;
    for await (const read of reader.blocks(block)) {
      const values = known ?? this.#kept(await read());
      known = null;
      const held = values.length / this.width;
      const order = stream(seed, `sae/block/${block}`).permutation(held);
      const count = Math.floor(held / rows);
      for (let batch = first; batch < count; batch++) {
        const x = new Float32Array(rows * this.width);
        for (let row = 0; row < rows; row++) {
          const at = order[batch * rows + row]! * this.width;
          x.set(values.subarray(at, at + this.width), row * this.width);
        }
        yield { x, next: batch + 1 < count ? { block, batch: batch + 1 } : { block: block + 1, batch: 0 } };
      }
      block += 1;
      first = 0;
    }
  }

  /** The rows of a block that are not too long. @throws SextantError `data_invalid` where they do not fill a batch */
  #kept(all: Float32Array): Float32Array {
    const { rows, normCap, reader } = this.#options;
    const norms = rowNorms(all, this.width);
    this.#limit ??= normCap === null ? Number.POSITIVE_INFINITY : normCap * quantile(norms.slice().sort(), 0.5);
    const kept = keepRows(all, this.width, norms, this.#limit);
    if (kept.length < rows * this.width) {
      const found = kept.length / this.width;
      throw new SextantError(
        'data_invalid',
        `a block holds ${found} usable ${reader.noun}, a batch needs ${rows}: lower 'batch' or give more`,
      );
    }
    return kept;
  }
}

function rowNorms(x: Float32Array, width: number): Float64Array {
  const norms = new Float64Array(x.length / width);
  for (let i = 0; i < x.length; i++) {
    norms[Math.floor(i / width)]! += x[i]! * x[i]!;
  }
  return norms.map(Math.sqrt);
}

function keepRows(x: Float32Array, width: number, norms: Float64Array, limit: number): Float32Array {
  const kept = norms.reduce((count, norm) => count + (norm <= limit ? 1 : 0), 0);
  if (kept === norms.length) {
    return x;
  }
  const out = new Float32Array(kept * width);
  let at = 0;
  norms.forEach((norm, row) => {
    if (norm > limit) {
      return;
    }
    out.set(x.subarray(row * width, (row + 1) * width), at);
    at += width;
  });
  return out;
}
