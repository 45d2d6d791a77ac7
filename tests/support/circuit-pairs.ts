/** Random pairs of prompts for tests of circuits: the answer is what the model finds likelier of two tokens. */
import type { Pair } from '../../gpu-worker/circuits/tasks/pair.ts';
import type { LanguageModel } from '../../gpu-worker/lm/index.ts';
import { randomRows } from './tiny-model.ts';

export async function randomPairs(model: LanguageModel, count: number, length: number, seed = 3): Promise<Pair[]> {
  const { vocabulary } = model.architecture;
  const clean = randomRows(new Array<number>(count).fill(length), seed, vocabulary);
  const corrupted = randomRows(new Array<number>(count).fill(length), seed + 1, vocabulary);
  const { logits } = await model.forward({ ids: clean, logits: 'last' });
  return clean.map((ids, row) => {
    const own = [...logits!.data.subarray(row * vocabulary, (row + 1) * vocabulary)];
    const order = own.map((_, token) => token).sort((a, b) => own[b]! - own[a]!);
    return { clean: ids, corrupted: corrupted[row]!, answer: [order[0]!], other: [order[5]!], template: null };
  });
}
