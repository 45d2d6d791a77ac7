/** Rationality and envy gaps, demographic gaps and counterfactual gaps, with the same intervals as the other metrics. */
import { stream } from '../../math/random.ts';
import { bootstrap, bootstrapIntervals, type Interval } from '../../math/resample.ts';
import { dataError } from '../data-error.ts';
import { smallest } from './extremes.ts';

type IntervalOptions = { draws: number; level: number; seed: number };

/** Positions of rows by code, and how many of each code. */
function byGroup(groupIds: ArrayLike<number>, groups: number): { rows: Uint32Array; counts: number[] } {
  const counts = new Array<number>(groups).fill(0);
  for (let i = 0; i < groupIds.length; i++) {
    if (!(groupIds[i]! >= 0 && groupIds[i]! < groups)) {
      throw dataError('group_unknown', `/routing/routed/${i}`, `there is no group ${groupIds[i]}`);
    }
    counts[groupIds[i]!]! += 1;
  }
  const rows = Uint32Array.from({ length: groupIds.length }, (_, i) => i).sort((i, j) => groupIds[i]! - groupIds[j]!);
  return { rows, counts };
}

type PreferenceIntervals = {
  group: number;
  count: number;
  own: Interval;
  pooled: Interval;
  rationality: Interval;
  envy: Interval | null;
};

/**
 * Gaps of every learned group that has rows, from `losses[j][i]` of head j (pooled last) and the routing. The interval of the
 * smallest of several envy gaps is built from all of theirs, so it accounts for the choice.
 */
export function preferenceIntervals(
  losses: readonly ArrayLike<number>[],
  routed: ArrayLike<number>,
  { draws, level, seed }: IntervalOptions,
): PreferenceIntervals[] {
  const groups = losses.length - 1;
  const { rows, counts } = byGroup(routed, groups);
  let from = 0;
  return counts.flatMap((count, k) => {
    const own = rows.subarray(from, from + count);
    from += count;
    if (count === 0) {
      return [];
    }
    const columns = losses.map((loss) => Float64Array.from(own, (i) => loss[i]!));
    const risks = new Float64Array(columns.length);
    const others = columns.flatMap((_, j) => (j < groups && j !== k ? [j] : []));
    const { samples, intervals } = bootstrap({
      strata: [count],
      size: 3 + others.length,
      draws,
      level,
      random: stream(seed, `preferences/${k}`),
      evaluate: (weights, out) => {
        columns.forEach((column, j) => {
          let sum = 0;
          let total = 0;
          for (let i = 0; i < count; i++) {
            sum += weights[i]! * column[i]!;
            total += weights[i]!;
          }
          risks[j] = sum / total;
        });
        out[0] = risks[k]!;
        out[1] = risks[groups]!;
        out[2] = risks[groups]! - risks[k]!;
        for (const [at, j] of others.entries()) {
          out[3 + at] = risks[j]! - risks[k]!;
        }
      },
    });
    const [risk, pooled, rationality, ...envies] = intervals as [Interval, Interval, Interval, ...Interval[]];
    const envy = smallest(
      envies.map((interval, at) => ({ interval, sample: samples[3 + at]!, rows: count })),
      level,
    );
    return [{ group: k, count, own: risk, pooled, rationality, envy: groups > 1 ? envy : null }];
  });
}

/** Mean of a column over all rows, weighted where `weights` are given, or per group: a demographic's rationality gap, an AFCE, a counterfactual gap. */
export function meanIntervals(
  values: ArrayLike<number>,
  groupIds: ArrayLike<number>,
  groups: number,
  { draws, level, seed }: IntervalOptions,
  name = 'mean',
  weights?: ArrayLike<number>,
): Interval[] {
  const { rows, counts } = byGroup(groupIds, groups);
  const sorted = Float64Array.from(rows, (i) => values[i]!);
  const mass = Float64Array.from(rows, (i) => (weights ? weights[i]! : 1));
  return bootstrapIntervals({
    strata: counts,
    size: groups,
    draws,
    level,
    random: stream(seed, name),
    evaluate: (drawn, out) => {
      let at = 0;
      counts.forEach((count, g) => {
        let [sum, total] = [0, 0];
        for (let i = 0; i < count; i++, at++) {
          const w = drawn[at]! * mass[at]!;
          sum += w * sorted[at]!;
          total += w;
        }
        out[g] = sum / total;
      });
    },
  });
}
