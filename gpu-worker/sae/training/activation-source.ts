/**
 * Batches of activations for training, from a model over a stream of sequences. The stream is cut into blocks of a fixed
 * number of sequences; the rows of a block are shuffled by the block's number, so that from any position on the same batches
 * come. To return to a position, the sequences before it are read from the corpus again and passed over; the model runs only
 * on the first block, and only where the norm cap is taken from it.
 */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { quantile } from '../../../shared/math/quantile.ts';
import { stream } from '../../../shared/math/random.ts';
import { activations, type LanguageModel } from '../../lm/index.ts';

type SourceOptions = {
  model: LanguageModel;
  hook: string;
  /** One pass over the corpus, or an endless one; started again when it ends. */
  sequences: () => AsyncIterable<ArrayLike<number>>;
  /** Sequences of a block, and of one forward pass. */
  block: number;
  pass: number;
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

  /** @throws SextantError `hook_unknown` */
  constructor(options: SourceOptions) {
    const width = options.model.widthAt(options.hook);
    if (width === null) {
      throw new SextantError('hook_unknown', `'${options.hook}' has no vectors of fixed width`);
    }
    this.width = width;
    this.#options = options;
  }

  /** The rows of the first block in the order of the text: the sample that statistics are taken of. */
  async sample(): Promise<Float32Array> {
    this.#first ??= await this.#firstBlock();
    return this.#first;
  }

  async #firstBlock(): Promise<Float32Array> {
    for await (const rows of this.#blocks(0)) {
      return rows;
    }
    throw new SextantError('data_invalid', 'the corpus has no tokens');
  }

  /** Batches from a position on, without end. */
  async *batches(from: SourcePosition = { block: 0, batch: 0 }): AsyncGenerator<SourceBatch, void, void> {
    const { rows, seed } = this.#options;
    let block = from.block;
    let first = from.batch;
    for await (const values of this.#blocks(block)) {
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

  async *#blocks(from: number): AsyncGenerator<Float32Array, void, void> {
    const { block: size } = this.#options;
    if (from > 0 && this.#limit === null && this.#options.normCap !== null) {
      await this.#firstBlock();
    }
    let first = from === 0 ? this.#first : null;
    this.#first = null;
    let held: ArrayLike<number>[] = [];
    let seen = 0;
    for await (const sequence of this.#endless()) {
      if (seen++ < from * size) {
        continue;
      }
      held.push(sequence);
      if (held.length < size) {
        continue;
      }
      const known = first;
      first = null;
      yield known ?? (await this.#read(held));
      held = [];
    }
  }

  async *#endless(): AsyncGenerator<ArrayLike<number>, void, void> {
    for (;;) {
      let any = false;
      for await (const sequence of this.#options.sequences()) {
        any = true;
        yield sequence;
      }
      if (!any) {
        throw new SextantError('data_invalid', 'the corpus has no tokens');
      }
    }
  }

  async #read(sequences: readonly ArrayLike<number>[]): Promise<Float32Array> {
    const { model, hook, pass, rows, normCap } = this.#options;
    const parts: Float32Array[] = [];
    for await (const { values } of activations(model, sequences, { hooks: [hook], batch: pass })) {
      parts.push(values[hook]!);
    }
    const all = joined(parts);
    const norms = rowNorms(all, this.width);
    this.#limit ??= normCap === null ? Number.POSITIVE_INFINITY : normCap * quantile(norms.slice().sort(), 0.5);
    const kept = keepRows(all, this.width, norms, this.#limit);
    if (kept.length < rows * this.width) {
      const found = kept.length / this.width;
      throw new SextantError(
        'data_invalid',
        `${sequences.length} sequences hold ${found} usable tokens, a batch needs ${rows}: lower 'batch' or give more text`,
      );
    }
    return kept;
  }
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
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
