/**
 * Thresholds by group that make a classifier fair after it was trained (Hardt, Price and Srebro 2016): among the rules that
 * a constraint allows, the one with the best objective. Where no single threshold meets the constraint exactly, two are mixed
 * at random; for equalised odds, groups that could do better are held back by a coin that ignores the score.
 */
import { dataError } from '../data-error.ts';
import type { CONSTRAINTS, GroupRule, OBJECTIVES } from './document.ts';
import {
  type Mixture,
  mixtureAt,
  type RateName,
  rateOf,
  type TradeOffPoint,
  tradeOffPoints,
  upperHull,
} from './trade-off.ts';

type Constraint = (typeof CONSTRAINTS)[number];
type Objective = (typeof OBJECTIVES)[number];

type ThresholdData = {
  scores: ArrayLike<number>;
  /** 0 or 1. */
  labels: ArrayLike<number>;
  groupIds: ArrayLike<number>;
  levels: readonly string[];
};
type ThresholdOptions = {
  constraint: Constraint;
  objective: Objective;
  /** Steps of an even grid of the constrained rate to search; null: all values at which the best can lie. */
  grid: number | null;
};
type FittedThresholds = {
  rules: GroupRule[];
  /** The rate that is the same in all groups; for equalised odds the false positive rate. */
  rate: number;
  objective: number;
};

/** The rate that a constraint makes equal. */
const EQUAL: Readonly<Record<Constraint, RateName>> = {
  demographic_parity: 'selection_rate',
  true_positive_rate_parity: 'true_positive_rate',
  false_positive_rate_parity: 'false_positive_rate',
  equalized_odds: 'false_positive_rate',
};

/** Values of the rate at which the best can lie: where a hull has a corner or, with `crossings`, two hulls cross. */
function corners(hulls: readonly (readonly TradeOffPoint[])[], crossings: boolean): number[] {
  const xs = [...new Set(hulls.flatMap((hull) => hull.map((point) => point.x)))].sort((a, b) => a - b);
  if (!crossings) {
    return xs;
  }
  const heights = xs.map((x) => hulls.map((hull) => mixtureAt(hull, x).y));
  const found = [...xs];
  for (let k = 0; k + 1 < xs.length; k++) {
    // Between two corners every hull is a line. At the left end a hull may start with a step up, which is its height there.
    const [left, right] = [heights[k]!, heights[k + 1]!];
    for (let a = 0; a < hulls.length; a++) {
      for (let b = a + 1; b < hulls.length; b++) {
        const [before, after] = [left[a]! - left[b]!, right[a]! - right[b]!];
        if (before * after < 0) {
          found.push(xs[k]! + ((xs[k + 1]! - xs[k]!) * before) / (before - after));
        }
      }
    }
  }
  return found.sort((a, b) => a - b);
}

/** The position of the largest value; of equal ones, but for rounding, the first. */
function bestOf(values: readonly number[]): number {
  let best = 0;
  values.forEach((value, k) => {
    if (value > values[best]! + 1e-15) {
      best = k;
    }
  });
  return best;
}

const named = (threshold: number): GroupRule['mix'][number]['above'] =>
  threshold === Number.POSITIVE_INFINITY ? 'nobody' : threshold === Number.NEGATIVE_INFINITY ? 'everybody' : threshold;
const mixOf = ({ mix }: Mixture): GroupRule['mix'] =>
  mix.filter(({ share }) => share > 0).map(({ share, threshold }) => ({ share, above: named(threshold) }));

/** The best rule of every group under the constraint. Raises `data_invalid` for a group that lacks one of the two labels. */
export function fitThresholds(
  data: ThresholdData,
  { constraint, objective, grid }: ThresholdOptions,
): FittedThresholds {
  const { scores, labels, groupIds, levels } = data;
  const rows = levels.map((_, g) => Array.from(groupIds, (code, i) => (code === g ? i : -1)).filter((i) => i >= 0));
  const odds = constraint === 'equalized_odds';
  const hulls = rows.map((own, g) => {
    const y = own.map((i) => labels[i]!);
    if (!(y.includes(0) && y.includes(1))) {
      throw dataError(
        'label_not_binary',
        '/labels',
        `the group "${levels[g]!.slice(0, 60)}" has rows of one label only; its rates need both`,
      );
    }
    const points = tradeOffPoints(
      own.map((i) => scores[i]!),
      y,
      EQUAL[constraint],
      odds ? 'true_positive_rate' : objective,
    );
    return upperHull(points);
  });
  const n = groupIds.length;
  const positives = Array.from(labels).reduce((sum, y) => sum + y, 0);
  const candidates = grid === null ? corners(hulls, odds) : Array.from({ length: grid + 1 }, (_, k) => k / grid);
  const mixtures = candidates.map((x) => hulls.map((hull) => mixtureAt(hull, x)));
  const lowest = mixtures.map((all) => Math.min(...all.map(({ y }) => y)));
  const values = mixtures.map((all, k) =>
    odds
      ? rateOf(objective, {
          truePositives: positives * lowest[k]!,
          falsePositives: (n - positives) * candidates[k]!,
          positives,
          negatives: n - positives,
        })
      : all.reduce((sum, { y }, g) => sum + (rows[g]!.length / n) * y, 0),
  );
  const best = bestOf(values);
  const [rate, reached] = [candidates[best]!, lowest[best]!];
  const rules = mixtures[best]!.map((mixture, g): GroupRule => {
    // The diagonal is what a coin reaches: mixed with it, a better group comes down to the others at the same rate.
    const ignore = odds && mixture.y !== rate ? (mixture.y - reached) / (mixture.y - rate) : 0;
    return { level: levels[g]!, ignore, accept_ignored: odds ? rate : 0, mix: mixOf(mixture) };
  });
  return { rules, rate, objective: values[best]! };
}
