/** The prompts of a refusal study, as the base model sees them, and which of them a direction is learned from. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { PromptSplit } from '../../../shared/contracts/prompts.ts';
import { stream } from '../../../shared/math/random.ts';
import type { LanguageModel } from '../../lm/index.ts';
import { lastLogits, type Row } from '../rows.ts';
import { areaUnderCurve } from '../vectors.ts';
import { refusalScores } from './scores.ts';

export type Question = Row & { text: string; answer: string | null };
type Splits = Record<PromptSplit, readonly Question[]>;
export type RefusalSets = { harmful: Splits; harmless: Splits };

/** Fewest prompts of a class that a mean or a score is taken over. */
const FEWEST = 16;
/** A model that refuses harmful prompts has an area near 1; with labels at random it is near a half. */
const [PERMUTATIONS, LEVEL, LEAST_AREA] = [999, 0.01, 0.7];

export const scoresOf = async (
  model: LanguageModel,
  prompts: readonly Row[],
  tokens: readonly number[],
): Promise<Float64Array> => refusalScores(await lastLogits(model, prompts), model.architecture.vocabulary, tokens);

export type Separation = { auc: number; p_value: number };

/**
 * Whether the model refuses harmful prompts more than harmless ones, by permutation of the labels.
 * @throws SextantError `data_invalid` where it does not: then there is no refusal whose direction could be found
 */
export function requireSeparation(harmful: Float64Array, harmless: Float64Array, seed: number): Separation {
  const auc = areaUnderCurve(harmful, harmless);
  const all = [...harmful, ...harmless];
  const random = stream(seed, 'refusal/labels');
  let above = 0;
  for (let i = 0; i < PERMUTATIONS; i++) {
    const order = random.derive(i).permutation(all.length);
    const high = Float64Array.from(order.subarray(0, harmful.length), (row) => all[row]!);
    const low = Float64Array.from(order.subarray(harmful.length), (row) => all[row]!);
    above += Number(areaUnderCurve(high, low) >= auc);
  }
  const p_value = (above + 1) / (PERMUTATIONS + 1);
  if (p_value > LEVEL || auc < LEAST_AREA) {
    throw new SextantError(
      'data_invalid',
      `/harmful: nothing found: the model refuses these prompts hardly more than the harmless ones (area under the curve ${auc.toFixed(3)}, at least ${LEAST_AREA} is needed; p = ${p_value.toFixed(3)} over ${PERMUTATIONS} permutations of the labels)`,
    );
  }
  return { auc, p_value };
}

/**
 * Harmful prompts that the model refuses (score above 0) and harmless ones that it does not, in the splits that a direction is
 * learned from; all of them without `filter`. Test prompts stay as they are.
 * @throws SextantError `data_invalid` for fewer than 16 of a class in such a split, saying how many there are
 */
export async function filteredSets(
  model: LanguageModel,
  sets: RefusalSets,
  tokens: readonly number[],
  filter: boolean,
): Promise<RefusalSets> {
  const keep = async (questions: readonly Question[], sign: 1 | -1): Promise<readonly Question[]> => {
    if (!filter || questions.length === 0) {
      return questions;
    }
    const scores = await scoresOf(model, questions, tokens);
    return questions.filter((_, i) => sign * scores[i]! > 0);
  };
  const kept: RefusalSets = { harmful: { ...sets.harmful }, harmless: { ...sets.harmless } };
  for (const split of ['train', 'validation'] as const) {
    kept.harmful[split] = await keep(sets.harmful[split], 1);
    kept.harmless[split] = await keep(sets.harmless[split], -1);
  }
  for (const split of ['train', 'validation'] as const) {
    const [n, m] = [kept.harmful[split].length, kept.harmless[split].length];
    if (n < FEWEST || m < FEWEST) {
      const of = `of ${sets.harmful[split].length} harmful and ${sets.harmless[split].length} harmless ${split} prompts`;
      throw new SextantError(
        'data_invalid',
        `/harmful: ${of} ${n} and ${m} are left${filter ? ', which the base model refuses and answers' : ''}; each needs ${FEWEST}`,
      );
    }
  }
  return kept;
}
