/**
 * Blocks of activations from a model over a stream of sequences, a fixed number of sequences each. To return to a position,
 * the sequences before it are read from the corpus again and passed over; the model does not run on them.
 */

import { SextantError } from '../../../shared/contracts/problem.ts';
import { joined } from '../../../shared/math/joined.ts';
import { activations, type LanguageModel } from '../../lm/index.ts';
import type { BlockReader } from './activation-source.ts';

type ModelBlocksOptions = {
  model: LanguageModel;
  hook: string;
  /** One pass over the corpus, or an endless one; started again when it ends. */
  sequences: () => AsyncIterable<ArrayLike<number>>;
  /** Sequences of a block, and of one forward pass. */
  block: number;
  pass: number;
};

export class ModelBlocks implements BlockReader {
  readonly width: number;
  readonly noun = 'tokens of the corpus';
  readonly #options: ModelBlocksOptions;

  /** @throws SextantError `hook_unknown` */
  constructor(options: ModelBlocksOptions) {
    const width = options.model.widthAt(options.hook);
    if (width === null) {
      throw new SextantError('hook_unknown', `'${options.hook}' has no vectors of fixed width`);
    }
    this.width = width;
    this.#options = options;
  }

  async *blocks(from: number): AsyncGenerator<() => Promise<Float32Array>, void, void> {
    const { block: size } = this.#options;
    let held: ArrayLike<number>[] = [];
    let seen = 0;
    for await (const sequence of this.#endless()) {
      if (seen++ < from * size) {
        continue;
      }
      held.push(sequence);
      if (held.length === size) {
        const full = held;
        held = [];
        yield () => this.#read(full);
      }
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
    const { model, hook, pass } = this.#options;
    const parts: Float32Array[] = [];
    for await (const { values } of activations(model, sequences, { hooks: [hook], batch: pass })) {
      parts.push(values[hook]!);
    }
    return joined(parts);
  }
}
