/**
 * The Wasserstein barycentre as a fair regressor (Chzhen et al. 2020): f*(x, s) = sum_b p_b Q_b(F_s(f(x, s))), which gives
 * every group the same score distribution at the least mean squared change. It needs the group of every row it maps: the
 * true one or a prediction of it.
 */
import { quantile } from '../math/quantile.ts';
import { dataError } from './data-error.ts';

/** `calibration[b]` are group b's sorted scores; `shares` sum to 1. */
type Barycentre = { ranks: Float64Array[]; quantiles: Float64Array[]; shares: Float64Array };

const sorted = (values: number[]): Float64Array => Float64Array.from(values).sort();

/**
 * Fits the maps to calibration scores. Ranks and quantiles come from disjoint halves of each group's scores (alternating,
 * in the order given), so that a map is not evaluated on the scores that define it; `split: false` uses all for both.
 * Raises `data_invalid` (group_too_small) for a group of fewer than four scores.
 */
export function fitBarycentre(
  scores: ArrayLike<number>,
  groupIds: ArrayLike<number>,
  groups: number,
  { split = true }: { split?: boolean } = {},
): Barycentre {
  const halves = Array.from({ length: groups }, () => [[] as number[], [] as number[]] as const);
  const counts = new Float64Array(groups);
  for (let i = 0; i < scores.length; i++) {
    const g = groupIds[i]!;
    if (split) {
      halves[g]![counts[g]! % 2]!.push(scores[i]!);
    } else {
      for (const half of halves[g]!) {
        half.push(scores[i]!);
      }
    }
    counts[g]! += 1;
  }
  counts.forEach((count, g) => {
    if (count < 4) {
      throw dataError('group_too_small', '/groups', `group ${g} has ${count} calibration scores; a barycentre needs 4`);
    }
  });
  return {
    ranks: halves.map(([first]) => sorted(first)),
    quantiles: halves.map(([, second]) => sorted(second)),
    shares: counts.map((count) => count / scores.length),
  };
}

/** Number of values below x, and number of values below or equal to it. */
function position(values: Float64Array, x: number): [number, number] {
  const count = (inclusive: boolean): number => {
    let [low, high] = [0, values.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (values[middle]! < x || (inclusive && values[middle] === x)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  };
  return [count(false), count(true)];
}

/**
 * Mapped scores. The rank of a score is its mid-distribution value (half of its ties below it) with linear interpolation
 * between calibration scores. Raises `data_invalid` (group_unknown) for a code the barycentre was not fitted to.
 */
export function applyBarycentre(
  fitted: Barycentre,
  scores: ArrayLike<number>,
  groupIds: ArrayLike<number>,
): Float64Array {
  return Float64Array.from(scores, (score, i) => {
    const own = fitted.ranks[groupIds[i]!];
    if (!own) {
      throw dataError('group_unknown', `/groups/${i}`, `row ${i} is of a group with no calibration scores`);
    }
    const [below, upTo] = position(own, score);
    let rank = (below + upTo) / 2;
    if (below === upTo && below > 0 && below < own.length) {
      rank = below - 0.5 + (score - own[below - 1]!) / (own[below]! - own[below - 1]!);
    }
    let mapped = 0;
    for (let b = 0; b < fitted.shares.length; b++) {
      mapped += fitted.shares[b]! * quantile(fitted.quantiles[b]!, rank / own.length, 'hazen');
    }
    return mapped;
  });
}

/** Barycentre of Gaussian groups: N(sum p mu, (sum p sigma)^2); `cost` is the mean squared change of the scores. */
export function gaussianBarycentre(groups: readonly { share: number; mean: number; deviation: number }[]): {
  mean: number;
  deviation: number;
  cost: number;
  map(value: number, group: number): number;
} {
  const mean = groups.reduce((sum, g) => sum + g.share * g.mean, 0);
  const deviation = groups.reduce((sum, g) => sum + g.share * g.deviation, 0);
  const cost = groups.reduce((sum, g) => sum + g.share * ((g.mean - mean) ** 2 + (g.deviation - deviation) ** 2), 0);
  return {
    mean,
    deviation,
    cost,
    map: (value, group) => mean + ((value - groups[group]!.mean) * deviation) / groups[group]!.deviation,
  };
}
