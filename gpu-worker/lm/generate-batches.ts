/** Generation for any number of prompts, in batches that bound the memory. */
import type { TokenRows } from './batch.ts';
import { type GenerateOptions, type Generation, generate } from './generate.ts';
import type { LanguageModel } from './model.ts';

/**
 * As `generate`, in the order of the prompts; interventions carry one vector for all rows. Prompts of like length share
 * a batch, because a batch computes as many positions for each as its longest has.
 * @param done is told how many prompts have their text
 */
export async function generateInBatches(
  model: LanguageModel,
  prompts: TokenRows,
  options: Omit<GenerateOptions, 'rowNumbers'>,
  { rows = 32, done = () => {} }: { rows?: number; done?: (prompts: number) => void } = {},
): Promise<Generation[]> {
  const byLength = [...prompts.keys()].sort((a, b) => prompts[a]!.length - prompts[b]!.length);
  const results: Generation[] = [];
  for (let from = 0; from < byLength.length; from += rows) {
    const rowNumbers = byLength.slice(from, from + rows);
    const batch = rowNumbers.map((row) => prompts[row]!);
    const generations = await generate(model, batch, { ...options, rowNumbers });
    for (const [i, row] of rowNumbers.entries()) results[row] = generations[i]!;
    done(Math.min(from + rows, byLength.length));
  }
  return results;
}
