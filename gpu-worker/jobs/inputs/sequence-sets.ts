/** Text of a corpus as whole sequences of one length, up to a number of tokens. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { LanguageModel } from '../../lm/index.ts';
import type { openCorpus, Split } from './corpus-input.ts';

type OpenedCorpus = Awaited<ReturnType<typeof openCorpus>>;

/**
 * Whole sequences of `context` tokens (fewer where the model's context ends before), as many as `tokens` hold.
 * @throws SextantError `data_invalid` where the tokens asked for, or those of the corpus, are fewer than one sequence
 */
export async function wholeSequences(
  corpus: OpenedCorpus,
  split: Split,
  { architecture }: Pick<LanguageModel, 'architecture'>,
  { context, tokens, pointer }: { context: number; tokens: number; pointer: string },
): Promise<Int32Array[]> {
  const length = Math.min(context, architecture.context);
  const wanted = Math.floor(tokens / length);
  if (wanted === 0) {
    throw new SextantError('data_invalid', `${pointer}: ${tokens} tokens are fewer than one sequence of ${length}`);
  }
  const sequences: Int32Array[] = [];
  for await (const ids of corpus.sequences(split, length)) {
    if (ids.length === length) {
      sequences.push(Int32Array.from(ids));
    }
    if (sequences.length === wanted) {
      break;
    }
  }
  if (sequences.length === 0) {
    throw new SextantError(
      'data_invalid',
      `/corpus: its ${split} text is shorter than one sequence of ${length} tokens`,
    );
  }
  return sequences;
}
