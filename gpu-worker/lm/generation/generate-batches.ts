/** Generation for any number of prompts, in batches that bound the memory. */
import type { TokenRows } from '../inference/batch.ts';
import type { LanguageModel } from '../inference/model.ts';
import { type GeneratedToken, type GenerateOptions, type Generation, generate } from './generate.ts';
import type { GenerationThreads } from './generation-threads.ts';

/**
 * As `generate`, in the order of the prompts; interventions carry one vector for all rows. Prompts of like length share
 * a batch, because a batch computes as many positions for each as its longest has.
 * @param done is told how many prompts have their text
 * @param threads compute instead of the model's own session where they are given
 * @param heard is told each token as it is chosen, its row by the place of the prompt; threads tell none
 */
export async function generateInBatches(
  model: LanguageModel,
  prompts: TokenRows,
  options: Omit<GenerateOptions, 'rowNumbers'>,
  {
    rows = 32,
    done = () => {},
    threads = null,
    heard = () => {},
  }: {
    rows?: number;
    done?: (prompts: number) => void;
    threads?: GenerationThreads | null;
    heard?: (token: GeneratedToken) => void;
  } = {},
): Promise<Generation[]> {
  // Where the rotary scaling follows the longest row, one row would change another.
  const { rope } = model.architecture;
  const size = rope?.scaling?.kind === 'longrope' || rope?.scaling?.kind === 'dynamic' ? 1 : rows;
  const byLength = [...prompts.keys()].sort((a, b) => prompts[a]!.length - prompts[b]!.length);
  const results: Generation[] = [];
  for (let from = 0; from < byLength.length; from += size) {
    const rowNumbers = byLength.slice(from, from + size);
    const batch = rowNumbers.map((row) => prompts[row]!);
    const all = { ...options, rowNumbers };
    const generations = await (threads
      ? threads.generate(batch, all)
      : generate(model, batch, all, (token) => heard({ ...token, row: rowNumbers[token.row]! })));
    for (const [i, row] of rowNumbers.entries()) {
      results[row] = generations[i]!;
    }
    done(Math.min(from + size, byLength.length));
  }
  return results;
}
