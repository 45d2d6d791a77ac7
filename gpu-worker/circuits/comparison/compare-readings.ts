/** Two checkpoints on the same pairs: metric, effects and recovery, with intervals over pairs. */
import { stream } from '../../../shared/math/random.ts';
import type { Interval } from '../../../shared/math/resample.ts';
import { bootstrapOverUnits } from '../../study/index.ts';
import { jaccard, largest, pearson, spearman } from './correlation.ts';
import type { Reading } from './reading.ts';

/** Heads whose sets are compared. */
const TOP = 6;

export type Comparison = {
  /** Of the mean metric. */
  difference: Interval;
  /** Of the effects of all heads; null where effects of one of the two do not vary. */
  pearson: Interval | null;
  spearman: Interval | null;
  /** Of the six heads with the largest effects. */
  jaccard: Interval | null;
};

const mean = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    sum += values[i]! / values.length;
  }
  return sum;
};
export const meanMetric = ({ metric }: Reading): number => mean(metric);
export const meanEffects = ({ effects }: Reading): number[] => effects.map(mean);

/** @param after compared with @param base */
export function compareReadings(base: Reading, after: Reading, seed: number): Comparison {
  const pairs = base.metric.length;
  const heads = base.effects.length;
  const parts = 2 + 2 * heads;
  const sums = new Float64Array(pairs * parts);
  for (let pair = 0; pair < pairs; pair++) {
    sums.set([base.metric[pair]!, after.metric[pair]!], pair * parts);
    for (let head = 0; head < heads; head++) {
      sums[pair * parts + 2 + head] = base.effects[head]![pair]!;
      sums[pair * parts + 2 + heads + head] = after.effects[head]![pair]!;
    }
  }
  // A correlation that is not defined counts as none.
  const intervals = bootstrapOverUnits({
    sums,
    parts,
    size: 4,
    measures: (total, out) => {
      const [before, now] = [total.subarray(2, 2 + heads), total.subarray(2 + heads)];
      out[0] = (total[1]! - total[0]!) / pairs;
      out[1] = pearson(before, now) ?? 0;
      out[2] = spearman(before, now) ?? 0;
      out[3] = jaccard(largest(before, TOP), largest(now, TOP));
    },
    random: stream(seed, 'circuits/compare'),
    draws: 400,
  });
  const varies = pearson(meanEffects(base), meanEffects(after)) !== null;
  const flat = (estimate: number): Interval => ({ estimate, low: estimate, high: estimate, error: 0 });
  const [difference, r, rho, shared] = intervals ?? [
    flat(meanMetric(after) - meanMetric(base)),
    flat(pearson(meanEffects(base), meanEffects(after)) ?? 0),
    flat(spearman(meanEffects(base), meanEffects(after)) ?? 0),
    flat(jaccard(largest(meanEffects(base), TOP), largest(meanEffects(after), TOP))),
  ];
  return {
    difference: difference!,
    pearson: varies ? r! : null,
    spearman: varies ? rho! : null,
    jaccard: varies ? shared! : null,
  };
}

/**
 * (q(retrained) - q(poisoned)) / (q(base) - q(poisoned)) of the mean metric; null where base and poisoned do not differ by more than
 * two standard errors of their difference.
 */
export function recovery(base: Reading, poisoned: Reading, retrained: Reading, seed: number): Interval | null {
  const apart = compareReadings(base, poisoned, seed).difference;
  if (Math.abs(apart.estimate) <= 2 * apart.error) {
    return null;
  }
  const pairs = base.metric.length;
  const sums = new Float64Array(pairs * 3);
  for (let pair = 0; pair < pairs; pair++) {
    sums.set([base.metric[pair]!, poisoned.metric[pair]!, retrained.metric[pair]!], pair * 3);
  }
  const found = bootstrapOverUnits({
    sums,
    parts: 3,
    size: 1,
    measures: ([before, fallen, again], out) => {
      out[0] = (again! - fallen!) / (before! - fallen!);
    },
    random: stream(seed, 'circuits/recovery'),
  });
  return found?.[0] ?? null;
}

export type Verdicts = { amplified: boolean; corrupted: boolean; restored: boolean };

/**
 * The paper's words, where the intervals support them. Amplified: the metric rose, and the effects of heads are those of the base
 * (lower end of their correlation above .8). Corrupted: the metric fell. Restored: at least three quarters of what was lost
 * are back, and the effects are those of the base again.
 */
export function verdicts(
  clean: Comparison | null,
  poisoned: Comparison,
  retrained: { comparison: Comparison; recovery: Interval | null } | null,
): Verdicts {
  const alike = (comparison: Comparison) => (comparison.pearson?.low ?? 0) > 0.8;
  return {
    amplified: clean !== null && clean.difference.low > 0 && alike(clean),
    corrupted: poisoned.difference.high < 0,
    restored: retrained !== null && (retrained.recovery?.low ?? 0) >= 0.75 && alike(retrained.comparison),
  };
}

/** Steps after which a curve first crosses the middle between its ends; null where it does not. */
export function halfWay(curve: readonly { step: number; value: number }[]): number | null {
  const [first, last] = [curve[0]?.value ?? 0, curve.at(-1)?.value ?? 0];
  const middle = (first + last) / 2;
  for (let i = 1; i < curve.length; i++) {
    const [a, b] = [curve[i - 1]!, curve[i]!];
    if ((a.value - middle) * (b.value - middle) <= 0 && a.value !== b.value) {
      return a.step + ((b.step - a.step) * (middle - a.value)) / (b.value - a.value);
    }
  }
  return null;
}
