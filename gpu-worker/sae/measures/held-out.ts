/** Activations for evaluation: a bounded number of tokens, with where each one stands. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { activations, type LanguageModel, type Sequence } from '../../lm/index.ts';

export type HeldOut = {
  /** tokens x width. */
  x: Float32Array;
  tokens: Int32Array;
  /** Number of each token's sequence in the stream, and its position there. */
  sequences: Int32Array;
  positions: Int32Array;
  /** The sequences that were read. */
  ids: ArrayLike<number>[];
};

/**
 * The first `tokens` activations of a stream (fewer if it ends).
 * @throws SextantError `data_invalid` for an empty stream, `not_finite`
 */
export async function heldOutActivations(
  model: LanguageModel,
  hook: string,
  stream: AsyncIterable<Sequence>,
  { tokens, pass, progress }: { tokens: number; pass: number; progress?: (done: number) => void },
): Promise<HeldOut> {
  const width = model.widthAt(hook);
  if (width === null) {
    throw new SextantError('hook_unknown', `'${hook}' has no vectors of fixed width`);
  }
  const ids: ArrayLike<number>[] = [];
  const recorded = async function* () {
    for await (const sequence of stream) {
      ids.push('ids' in sequence ? sequence.ids : sequence);
      yield sequence;
    }
  };
  const x = new Float32Array(tokens * width);
  const found = {
    tokens: new Int32Array(tokens),
    sequences: new Int32Array(tokens),
    positions: new Int32Array(tokens),
  };
  let count = 0;
  for await (const block of activations(model, recorded(), { hooks: [hook], batch: pass })) {
    const take = Math.min(block.count, tokens - count);
    x.set(block.values[hook]!.subarray(0, take * width), count * width);
    for (const name of ['tokens', 'sequences', 'positions'] as const) {
      found[name].set(block[name].subarray(0, take), count);
    }
    count += take;
    progress?.(count);
    if (count >= tokens) {
      break;
    }
  }
  if (count === 0) {
    throw new SextantError('data_invalid', 'the corpus has no tokens to evaluate on');
  }
  const used = x.subarray(0, count * width);
  return {
    x: used,
    tokens: found.tokens.subarray(0, count),
    sequences: found.sequences.subarray(0, count),
    positions: found.positions.subarray(0, count),
    ids,
  };
}
