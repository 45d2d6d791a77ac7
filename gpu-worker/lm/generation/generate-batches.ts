/** Generation for any number of prompts, in batches that bound the memory. */
import type { TokenRows } from '../inference/batch.ts';
import type { LanguageModel } from '../inference/model.ts';
import { generate } from './generate.ts';
import type { GeneratedToken, GenerateOptions, Generation } from './generation.ts';
import type { GenerationThreads } from './generation-threads.ts';
import type { RunningBatch } from './running-batch.ts';

/**
 * As `generate`, in the order of the prompts; interventions carry one vector for all rows. Prompts of like length share
 * a batch, because a batch computes as many positions for each as its longest has.
 * @param done is told how many prompts have their text
 * @param threads compute instead of the model's own session where they are given
 * @param running takes the rows, where it can, beside those of other requests of this owner and others; ended by `signal`
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
    running = null,
    owner = '',
    signal,
  }: {
    rows?: number;
    done?: (prompts: number) => void;
    threads?: GenerationThreads | null;
    heard?: (token: GeneratedToken) => void;
    running?: RunningBatch | null;
    owner?: string;
    signal?: AbortSignal | undefined;
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
    const told = (token: GeneratedToken) => heard({ ...token, row: rowNumbers[token.row]! });
    const joined = running?.takes(options.interventions ?? []) ? running : null;
    const generations = await (threads
      ? threads.generate(batch, all)
      : (joined?.generate(batch, all, { owner, heard: told, signal }) ?? generate(model, batch, all, told)));
    for (const [i, row] of rowNumbers.entries()) {
      results[row] = generations[i]!;
    }
    done(Math.min(from + size, byLength.length));
  }
  return results;
}
