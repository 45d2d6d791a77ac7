/** Pairs in batches of one length, which need no padding. */
import type { Pair } from './pair.ts';

/** `at`: the numbers of the pairs in the task. */
export type PairBatch = { pairs: Pair[]; at: number[] };

export function batchesOf(pairs: readonly Pair[], most: number): PairBatch[] {
  const byLength = new Map<number, number[]>();
  for (const [i, { clean }] of pairs.entries()) {
    byLength.set(clean.length, [...(byLength.get(clean.length) ?? []), i]);
  }
  return [...byLength.entries()]
    .sort(([a], [b]) => a - b)
    .flatMap(([, rows]) => {
      // Batches of about equal size need fewer programs.
      const count = Math.ceil(rows.length / most);
      const size = Math.ceil(rows.length / count);
      return Array.from({ length: count }, (_, i) => rows.slice(i * size, (i + 1) * size)).filter(
        (own) => own.length > 0,
      );
    })
    .map((at) => ({ at, pairs: at.map((i) => pairs[i]!) }));
}
