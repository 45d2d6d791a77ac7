/** The interval of every number of an audit, by what kind of number it is. */

import { newcombeInterval, wilsonInterval } from '../../math/proportions.ts';
import { quantile } from '../../math/quantile.ts';
import type { RandomStream } from '../../math/random.ts';
import { bootstrap, type Interval } from '../../math/resample.ts';
import { normalQuantile } from '../../math/special.ts';
import { type Difference, type Distance, largestAbsolute, largestDistance } from './extremes.ts';
import type { AuditLayout } from './layout.ts';
import type { AuditStatistics, MetricKey } from './statistics.ts';

/** Rows that a share is taken of: all of a group's, or those with one label. */
const CONDITION: Readonly<Record<string, 'all' | 'positive' | 'negative'>> = {
  selection_rate: 'all',
  accuracy: 'all',
  true_positive_rate: 'positive',
  false_positive_rate: 'negative',
};

const UNDEFINED: Interval = { estimate: Number.NaN, low: Number.NaN, high: Number.NaN, error: Number.NaN };

/** An interval, and why there is none. */
type Found = { interval: Interval; reason?: string };

type IntervalOptions = { draws: number; level: number; minimum: number; random: RandomStream };

/** Rows of every group that each condition leaves. */
function conditionCounts({ counts, start, labels }: AuditLayout): Record<'all' | 'positive' | 'negative', number[]> {
  const positive = counts.map((_, g) =>
    labels ? labels.subarray(start[g], start[g + 1]).reduce((s, y) => s + y, 0) : 0,
  );
  return { all: [...counts], positive, negative: counts.map((count, g) => count - positive[g]!) };
}

/** sup over positions of |F_a - F_b| and so many of its standard errors there: where the distance is largest is fixed. */
function upperDistance({ counts, pairs }: AuditLayout, p: number, differences: Float64Array, z: number): number {
  const { a, b, side, gap } = pairs[p]!;
  const seen = [0, 0];
  const sizes = [counts[a]!, counts[b]!];
  let high = 0;
  for (let j = 0; j < side.length; j++) {
    seen[side[j]!]! += 1;
    if (gap[j] === 0) {
      continue;
    }
    const variance = seen.reduce((sum, n, s) => sum + ((n / sizes[s]!) * (1 - n / sizes[s]!)) / sizes[s]!, 0);
    high = Math.max(high, Math.abs(differences[j]!) + z * Math.sqrt(variance));
  }
  return Math.min(1, high);
}

/**
 * Means, variances, errors and AUC: BCa bootstrap. Shares: Wilson's score interval, their differences Newcombe's; a share of
 * fewer rows than the minimum is not told. KS and W1, and every largest gap: as `extremes.ts` says. In the order of `keys`.
 */
export function auditIntervals(
  layout: AuditLayout,
  { keys, per, size, evaluate, differences }: AuditStatistics,
  { draws, level, minimum, random }: IntervalOptions,
): Found[] {
  const { counts, pairs } = layout;
  const { samples, intervals } = bootstrap({ strata: counts, size, evaluate, draws, random, level });
  const available = conditionCounts(layout);
  const z = normalQuantile(0.5 + level / 2);
  const found: Found[] = [];
  const pairAt = (p: number, k: number): number => counts.length * per + p * (per + 2) + k;

  const share = (key: MetricKey & { scope: 'group' }, interval: Interval): Found => {
    const condition = CONDITION[key.metric];
    if (!condition) {
      return { interval };
    }
    const of = available[condition][key.group]!;
    if (of < minimum) {
      return {
        interval: UNDEFINED,
        reason: `${of} ${condition} labels; at least ${minimum} are needed to tell this rate`,
      };
    }
    return { interval: wilsonInterval(interval.estimate, of, level) };
  };
  const distance = (p: number, which: 0 | 1): Distance => {
    const at = pairAt(p, which);
    const { a, b } = pairs[p]!;
    const { estimate, error } = intervals[at]!;
    const draws = samples[at]!.filter((value) => Number.isFinite(value)).sort();
    return {
      estimate,
      error,
      high: which === 0 ? upperDistance(layout, p, differences[p]!, z) : quantile(draws, 0.5 + level / 2),
      deviations: samples[keys.length + 2 * p + which]!,
      scale: Math.sqrt(1 / counts[a]! + 1 / counts[b]!),
      rows: Math.min(counts[a]!, counts[b]!),
    };
  };
  keys.forEach((key, at) => {
    if (key.scope === 'group') {
      found.push(share(key, intervals[at]!));
    } else if (key.scope === 'pair') {
      const p = Math.floor((at - pairAt(0, 0)) / (per + 2));
      const k = at - pairAt(p, 0);
      if (k < 2) {
        found.push({ interval: largestDistance([distance(p, k as 0 | 1)], level) });
        return;
      }
      const [a, b] = [found[key.a * per + k - 2]!, found[key.b * per + k - 2]!];
      const reason = a.reason ?? b.reason;
      if (reason !== undefined) {
        found.push({ interval: UNDEFINED, reason });
      } else if (CONDITION[key.metric.replace(/_difference$/, '')]) {
        found.push({ interval: newcombeInterval(a.interval, b.interval) });
      } else {
        found.push({ interval: intervals[at]! });
      }
    } else {
      const k = at - pairAt(pairs.length, 0);
      const every = pairs.map((_, p) => p);
      if (k < 2) {
        found.push({
          interval: largestDistance(
            every.map((p) => distance(p, k as 0 | 1)),
            level,
          ),
        });
        return;
      }
      // Groups without enough rows for a rate are left out of its largest gap, as groups without enough rows are of all.
      const told = every.filter((p) => found[pairAt(p, k)]!.reason === undefined);
      const all = told.map(
        (p): Difference => ({
          interval: found[pairAt(p, k)]!.interval,
          sample: samples[pairAt(p, k)]!,
          rows: Math.min(counts[pairs[p]!.a]!, counts[pairs[p]!.b]!),
        }),
      );
      if (told.length > 0) {
        found.push({ interval: largestAbsolute(all, level) });
      } else {
        found.push({ interval: UNDEFINED, reason: found[pairAt(0, k)]!.reason ?? 'no two groups have enough rows' });
      }
    }
  });
  return found;
}
