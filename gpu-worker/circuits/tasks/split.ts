/** Pairs to learn from, and pairs to measure on. */
import { paramError } from '../../../shared/contracts/problem.ts';
import type { RandomStream } from '../../../shared/math/random.ts';
import type { Pair } from './pair.ts';

/**
 * Pairs of one template lie in one part where there are templates to tell; twins (one's clean prompt is the other's corrupted one)
 * and repeated prompts always do.
 * @throws SextantError `data_invalid` where a part would be empty
 */
export function splitPairs(
  pairs: readonly Pair[],
  share: number,
  random: RandomStream,
): { train: Pair[]; test: Pair[] } {
  const templates = new Set(pairs.map(({ template }) => template));
  const byTemplate = !templates.has(null) && templates.size > 2;
  const groups = new Map<string, Pair[]>();
  for (const pair of pairs) {
    const prompts = [pair.clean, pair.corrupted].map((ids) => ids.join(' ')).sort();
    const key = byTemplate ? pair.template! : prompts.join(' | ');
    groups.set(key, [...(groups.get(key) ?? []), pair]);
  }
  const all = [...groups.values()];
  const order = Array.from(random.permutation(all.length), (at) => all[at]!);
  const wanted = Math.round(share * pairs.length);
  const [train, test]: [Pair[], Pair[]] = [[], []];
  for (const group of order) {
    (test.length < wanted ? test : train).push(...group);
  }
  if (train.length === 0 || test.length < 2) {
    throw paramError(
      'data_invalid',
      '/held_out',
      `of ${pairs.length} pairs in ${all.length} groups ${train.length} would be learned from and ${test.length} read; give more`,
    );
  }
  return { train, test };
}
