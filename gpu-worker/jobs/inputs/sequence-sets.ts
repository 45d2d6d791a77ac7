/** Text of a corpus as whole sequences of one length, up to a number of tokens. */
import { paramError, SextantError } from '../../../shared/contracts/problem.ts';
import type { TextAccount } from '../../../shared/contracts/text-use.ts';
import type { LanguageModel } from '../../lm/index.ts';
import type { openCorpus, Split } from './corpus-input.ts';

type OpenedCorpus = Awaited<ReturnType<typeof openCorpus>>;

/**
 * The passages of a text on which something is predicted, with the account of all of it.
 * @throws SextantError `data_invalid` where not one has two tokens
 */
export async function predictedSequences(
  corpus: OpenedCorpus,
  use: Omit<Parameters<OpenedCorpus['read']>[0], 'as'>,
): Promise<{ sequences: ArrayLike<number>[]; text: TextAccount }> {
  const reading = corpus.read({ ...use, as: 'predictions' });
  const sequences: ArrayLike<number>[] = [];
  for await (const { ids } of reading) {
    // A single token is no prediction.
    if (ids.length > 1) {
      sequences.push(ids);
    }
  }
  if (sequences.length === 0) {
    throw paramError('data_invalid', '/corpus', 'no text of two tokens, so that nothing is predicted');
  }
  return { sequences, text: await reading.account() };
}

/**
 * Whole sequences of `context` tokens (fewer where the model's context ends before), as many as `tokens` hold, with the account of
 * all of the text.
 * @throws SextantError `data_invalid` where the tokens asked for, or those of the corpus, are fewer than one sequence
 */
export async function wholeSequences(
  corpus: OpenedCorpus,
  side: Split,
  { architecture }: Pick<LanguageModel, 'architecture'>,
  { context, tokens, pointer }: { context: number; tokens: number; pointer: string },
): Promise<{ sequences: Int32Array[]; text: TextAccount }> {
  const length = Math.min(context, architecture.context);
  const wanted = Math.floor(tokens / length);
  if (wanted === 0) {
    throw new SextantError('data_invalid', `${pointer}: ${tokens} tokens are fewer than one sequence of ${length}`);
  }
  const taken = await corpus.whole(side, length, wanted);
  if (taken.sequences.length === 0) {
    throw new SextantError(
      'data_invalid',
      `/corpus: its ${side} text is shorter than one sequence of ${length} tokens`,
    );
  }
  return taken;
}
