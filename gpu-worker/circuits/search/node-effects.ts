/** Effects of nodes with their intervals over pairs. */
import { stream } from '../../../shared/math/random.ts';
import { bootstrapOverUnits } from '../../study/index.ts';
import type { PerPair } from './task-runs.ts';

export type NodeEffect = { node: string; effect: number; low: number | null; high: number | null };

/** @param values of each node and pair; @param plain what they are without the change */
export function nodeEffects(
  names: readonly string[],
  values: readonly PerPair[],
  plain: PerPair | null,
  seed: number,
): NodeEffect[] {
  const pairs = values[0]?.length ?? 0;
  const parts = names.length;
  const sums = new Float64Array(pairs * parts);
  for (const [node, own] of values.entries()) {
    for (let pair = 0; pair < pairs; pair++) {
      sums[pair * parts + node] = own[pair]! - (plain?.[pair] ?? 0);
    }
  }
  const means = names.map((_, node) => {
    let sum = 0;
    for (let pair = 0; pair < pairs; pair++) {
      sum += sums[pair * parts + node]!;
    }
    return sum / pairs;
  });
  const intervals = bootstrapOverUnits({
    sums,
    parts,
    size: parts,
    measures: (total, out) => {
      for (let node = 0; node < parts; node++) {
        out[node] = total[node]! / pairs;
      }
    },
    random: stream(seed, 'circuits/effects'),
  });
  return names.map((node, i) => ({
    node,
    effect: means[i]!,
    low: intervals?.[i]?.low ?? null,
    high: intervals?.[i]?.high ?? null,
  }));
}
