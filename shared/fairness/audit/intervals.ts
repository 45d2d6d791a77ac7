/** The interval of every number of an audit, by what kind of number it is. */

import { newcombeInterval, wilsonInterval } from '../../math/proportions.ts';
import { quantile } from '../../math/quantile.ts';
import type { RandomStream } from '../../math/random.ts';
import { bootstrap, type Interval } from '../../math/resample.ts';
import { normalQuantile } from '../../math/special.ts';
import { type Difference, type Distance, largestAbsolute, largestDistance } from './extremes.ts';
import type { AuditLayout } from './layout.ts';
import { type AuditStatistics, type MetricKey, ODDS } from './statistics.ts';

/** Rows that a share is taken of: all of a group's, those with one label, or those with one decision. */
type Condition = 'all' | 'positive' | 'negative' | 'selected' | 'rejected';
export const CONDITION: Readonly<Record<string, Condition>> = {
  selection_rate: 'all',
  accuracy: 'all',
  true_positive_rate: 'positive',
  false_positive_rate: 'negative',
  precision: 'selected',
  false_discovery_rate: 'selected',
  false_omission_rate: 'rejected',
};
/** What the rows of a condition are called where they are too few. */
const ROWS: Readonly<Record<Condition, string>> = {
  all: 'rows',
  positive: 'positive labels',
  negative: 'negative labels',
  selected: 'selected rows',
  rejected: 'rejected rows',
};

const UNDEFINED: Interval = { estimate: Number.NaN, low: Number.NaN, high: Number.NaN, error: Number.NaN };

/** An interval, and why there is none; of a share also how many rows of equal weight it is of. */
export type Found = { interval: Interval; reason?: string; of?: number };

type IntervalOptions = { draws: number; level: number; minimum: number; random: RandomStream };

/** Rows of a group that a share is taken of: how many, and how many of equal weight say as much. */
function conditionCount(
  { start, below, labels, weights, counts, effective }: AuditLayout,
  condition: Condition,
  group: number,
  threshold: number,
): { rows: number; effective: number } {
  if (condition === 'all') {
    return { rows: counts[group]!, effective: effective[group]! };
  }
  const [from, to] = [start[group]!, start[group + 1]!];
  const cut = condition === 'selected' || condition === 'rejected' ? from + below[threshold]![group]! : from;
  let [rows, sum, square] = [0, 0, 0];
  for (let i = from; i < to; i++) {
    const counted =
      condition === 'selected'
        ? i >= cut
        : condition === 'rejected'
          ? i < cut
          : (labels?.[i] === 1) === (condition === 'positive');
    if (counted) {
      const w = weights ? weights[i]! : 1;
      rows += 1;
      sum += w;
      square += w * w;
    }
  }
  return { rows, effective: square > 0 ? sum ** 2 / square : 0 };
}

/** sup over positions of |F_a - F_b| and so many of its standard errors there: where the distance is largest is fixed. */
function upperDistance(
  { effective, weights, pairs }: AuditLayout,
  p: number,
  differences: Float64Array,
  z: number,
): number {
  const { a, b, row, side, gap } = pairs[p]!;
  const mass = (j: number): number => (weights ? weights[row[j]!]! : 1);
  const [seen, totals] = [
    [0, 0],
    [0, 0],
  ];
  side.forEach((s, j) => {
    totals[s]! += mass(j);
  });
  const sizes = [effective[a]!, effective[b]!];
  let high = 0;
  for (let j = 0; j < side.length; j++) {
    seen[side[j]!]! += mass(j);
    if (gap[j] === 0) {
      continue;
    }
    const variance = seen.reduce((sum, n, s) => {
      const share = Math.min(1, n / totals[s]!);
      return sum + (share * (1 - share)) / sizes[s]!;
    }, 0);
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
  { keys, per, size, position, evaluate, differences }: AuditStatistics,
  { draws, level, minimum, random }: IntervalOptions,
): Found[] {
  const { counts, effective, thresholds, pairs } = layout;
  const { samples, intervals } = bootstrap({ strata: counts, size, evaluate, draws, random, level });
  const z = normalQuantile(0.5 + level / 2);
  const found: Found[] = [];
  const pairAt = (p: number, k: number): number => counts.length * per + p * (per + 2) + k;

  const share = (key: MetricKey & { scope: 'group' }, interval: Interval): Found => {
    const condition = CONDITION[key.metric];
    if (!condition) {
      return { interval };
    }
    const of = conditionCount(layout, condition, key.group, thresholds.indexOf(key.threshold!));
    if (of.rows < minimum) {
      return {
        interval: UNDEFINED,
        reason: `${of.rows} ${ROWS[condition]}; at least ${minimum} are needed to tell this rate`,
      };
    }
    return { interval: wilsonInterval(interval.estimate, of.effective, level), of: of.effective };
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
      scale: Math.sqrt(1 / effective[a]! + 1 / effective[b]!),
      rows: Math.min(effective[a]!, effective[b]!),
    };
  };
  /** The largest of the differences at these positions over all pairs that are told. */
  const largestOf = (positions: readonly number[]): Found => {
    // Groups without enough rows for a rate are left out of its largest gap, as groups without enough rows are of all.
    const cells = pairs.flatMap((pair, p) => positions.map((k) => ({ pair, at: pairAt(p, k) })));
    const told = cells.filter(({ at }) => found[at]!.reason === undefined);
    if (told.length === 0) {
      return { interval: UNDEFINED, reason: found[cells[0]!.at]!.reason ?? 'no two groups have enough rows' };
    }
    const all = told.map(
      ({ pair: { a, b }, at }): Difference => ({
        interval: found[at]!.interval,
        sample: samples[at]!,
        rows: Math.min(effective[a]!, effective[b]!),
      }),
    );
    return { interval: largestAbsolute(all, level) };
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
      found.push(largestOf(k < per + 2 ? [k] : ODDS.map((metric) => 2 + position(metric, k - per - 2))));
    }
  });
  return found;
}
