/** Generation for any number of prompts, in batches that bound the memory and cut nobody short. */
import type { TokenRows } from './batch.ts';
import { type GenerateOptions, type Generation, generate } from './generate.ts';
import type { LanguageModel } from './model.ts';

/**
 * As `generate`, in the order of the prompts; interventions carry one vector for all rows. A long prompt leaves less
 * room in the context than a short one, so only prompts that may go on equally long share a batch.
 * @param done is told how many prompts have their text
 */
export async function generateInBatches(
  model: LanguageModel,
  prompts: TokenRows,
  options: Omit<GenerateOptions, 'rowNumbers'>,
  { rows = 32, done = () => {} }: { rows?: number; done?: (prompts: number) => void } = {},
): Promise<Generation[]> {
  const room = (prompt: ArrayLike<number>) =>
    Math.min(options.maxTokens ?? Number.POSITIVE_INFINITY, model.architecture.context - prompt.length + 1);
  const byRoom = Map.groupBy(prompts.keys(), (row) => room(prompts[row]!));
  const results: Generation[] = [];
  let finished = 0;
  for (const numbers of byRoom.values())
    for (let from = 0; from < numbers.length; from += rows) {
      const rowNumbers = numbers.slice(from, from + rows);
      const batch = rowNumbers.map((row) => prompts[row]!);
      const generations = await generate(model, batch, { ...options, rowNumbers });
      for (const [i, row] of rowNumbers.entries()) results[row] = generations[i]!;
      finished += rowNumbers.length;
      done(finished);
    }
  return results;
}
