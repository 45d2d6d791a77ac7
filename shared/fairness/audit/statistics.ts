/** Every metric of an audit for given row weights, in passes without allocation over rows that were sorted once. */
import type { WeightedStatistics } from '../../math/resample.ts';
import type { AuditLayout } from './layout.ts';

export type Task = 'regression' | 'classification';
/** What one number is: a metric of one group, of one pair (`a`, `b`: positions of groups), or of all. */
export type MetricKey =
  | { scope: 'group'; metric: string; group: number; threshold?: number }
  | { scope: 'pair'; metric: string; a: number; b: number; threshold?: number }
  | { scope: 'all'; metric: string; threshold?: number };

/** Shares at a threshold that need labels, in the order in which they are evaluated. */
const LABELLED_RATES = [
  'accuracy',
  'true_positive_rate',
  'false_positive_rate',
  'precision',
  'false_discovery_rate',
  'false_omission_rate',
] as const;
/** The two rates that equalised odds asks to be equal (Hardt, Price and Srebro 2016). */
export const ODDS = ['true_positive_rate', 'false_positive_rate'] as const;

/** Metrics of every group; means of what `predictions` and `labels` allow. */
const groupMetrics = (task: Task, labelled: boolean, thresholds: number): { metric: string; at?: number }[] => {
  const list: { metric: string; at?: number }[] = [{ metric: 'mean' }, { metric: 'variance' }];
  if (labelled) {
    list.push({ metric: 'mse' }, { metric: 'mae' });
  }
  if (labelled && task === 'classification') {
    list.push({ metric: 'auc' });
  }
  for (let at = 0; at < thresholds; at++) {
    list.push({ metric: 'selection_rate', at });
    if (labelled && task === 'classification') {
      for (const metric of LABELLED_RATES) {
        list.push({ metric, at });
      }
    }
  }
  return list;
};

export type AuditStatistics = {
  keys: MetricKey[];
  /** Metrics per group. */
  per: number;
  /** Position of a rate at threshold number `at` among the metrics of a group. */
  position(metric: string, at: number): number;
  /** Numbers that `evaluate` writes: those of `keys`, then for every pair how far its difference F_a - F_b lies from that of
   * the rows as they are: the largest |deviation| and its integral. */
  size: number;
  evaluate: WeightedStatistics;
  /** F_a - F_b of the rows as they are, at every position of a pair's order. */
  differences: Float64Array[];
};

/**
 * Statistics of a layout, in the order of `keys`: group metrics, then for every pair KS, W1 and the differences of group
 * metrics (a minus b), then the largest absolute gap over pairs of each, named `..._gap`, `ks` and `w1`, then the larger of
 * both gaps of equalised odds at every threshold.
 *
 * KS = sup |F_a - F_b|; W1 = integral |F_a - F_b|; variance divides by n - 1, for weighted rows by sum w - sum w^2 / sum w;
 * AUC counts ties half; a rate without a denominator is NaN.
 */
export function auditStatistics(layout: AuditLayout, task: Task): AuditStatistics {
  const { counts, start, predictions, labels, weights: own, tieEnd, thresholds, below, pairs } = layout;
  const groups = counts.length;
  const metrics = groupMetrics(task, labels !== undefined, thresholds.length);
  const per = metrics.length;
  const withThreshold = (at: number | undefined): { threshold?: number } =>
    at === undefined ? {} : { threshold: thresholds[at]! };
  const keys: MetricKey[] = [];
  for (let group = 0; group < groups; group++) {
    for (const { metric, at } of metrics) {
      keys.push({ scope: 'group', metric, group, ...withThreshold(at) });
    }
  }
  for (const { a, b } of pairs) {
    keys.push({ scope: 'pair', metric: 'ks', a, b }, { scope: 'pair', metric: 'w1', a, b });
    for (const { metric, at } of metrics) {
      keys.push({ scope: 'pair', metric: `${metric}_difference`, a, b, ...withThreshold(at) });
    }
  }
  keys.push({ scope: 'all', metric: 'ks' }, { scope: 'all', metric: 'w1' });
  for (const { metric, at } of metrics) {
    keys.push({ scope: 'all', metric: `${metric}_gap`, ...withThreshold(at) });
  }
  const classified = labels !== undefined && task === 'classification';
  const odds = classified ? thresholds.length : 0;
  for (let at = 0; at < odds; at++) {
    keys.push({ scope: 'all', metric: 'equalized_odds_gap', ...withThreshold(at) });
  }
  const position = (metric: string, at: number): number => metrics.findIndex((m) => m.metric === metric && m.at === at);
  const oddsAt = thresholds.map((_, at) => ODDS.map((metric) => position(metric, at)));
  const pairBase = groups * per;
  const allBase = pairBase + pairs.length * (per + 2);
  const deviationBase = keys.length;
  const size = keys.length + 2 * pairs.length;
  const masses = counts.map((count, g) =>
    own ? own.subarray(start[g], start[g + 1]).reduce((s, w) => s + w, 0) : count,
  );
  const differences = pairs.map(({ a, b, row, side }) => {
    const step = [1 / masses[a]!, -1 / masses[b]!];
    let difference = 0;
    return Float64Array.from(side, (s, j) => {
      difference += own ? own[row[j]!]! * step[s]! : step[s]!;
      return difference;
    });
  });

  // Shifted by a common centre, so that variances of weights do not cancel for predictions far from 0.
  let centre = 0;
  for (const value of predictions) {
    centre += value / predictions.length;
  }
  const moved = predictions.map((value) => value - centre);
  const squared = labels && predictions.map((value, i) => (value - labels[i]!) ** 2);
  const absolute = labels && predictions.map((value, i) => Math.abs(value - labels[i]!));
  const sums = new Float64Array(groups);
  const coefficient = new Float64Array(2);

  const product = own && new Float64Array(own.length);

  const groupPass = (weights: Uint16Array | Float64Array, g: number, out: Float64Array): void => {
    const [from, to] = [start[g]!, start[g + 1]!];
    let [total, first, second] = [0, 0, 0];
    for (let i = from; i < to; i++) {
      const w = weights[i]!;
      const x = moved[i]!;
      total += w;
      first += w * x;
      second += w * x * x;
    }
    sums[g] = total;
    const base = g * per;
    let at = base;
    out[at++] = centre + first / total;
    let repeated = total;
    if (own) {
      repeated = 0;
      for (let i = from; i < to; i++) {
        repeated += weights[i]! * own[i]!;
      }
    }
    out[at++] = (second - (first * first) / total) / (total - repeated / total);
    if (squared && absolute) {
      let [square, distance] = [0, 0];
      for (let i = from; i < to; i++) {
        const w = weights[i]!;
        square += w * squared[i]!;
        distance += w * absolute[i]!;
      }
      out[at++] = square / total;
      out[at++] = distance / total;
    }
    let positives = 0;
    if (classified && labels) {
      let [negatives, ranked, tiedPositive, tiedNegative] = [0, 0, 0, 0];
      for (let i = from; i < to; i++) {
        const w = weights[i]!;
        const y = labels[i]!;
        tiedPositive += w * y;
        tiedNegative += w * (1 - y);
        if (tieEnd[i] === 0) {
          continue;
        }
        ranked += tiedPositive * (negatives + tiedNegative / 2);
        positives += tiedPositive;
        negatives += tiedNegative;
        tiedPositive = 0;
        tiedNegative = 0;
      }
      out[at++] = ranked / (positives * negatives);
    }
    for (let t = 0; t < thresholds.length; t++) {
      const cut = from + below[t]![g]!;
      let [under, positivesUnder] = [0, 0];
      for (let i = from; i < cut; i++) {
        under += weights[i]!;
      }
      out[at++] = (total - under) / total;
      if (!classified || !labels) {
        continue;
      }
      for (let i = from; i < cut; i++) {
        positivesUnder += weights[i]! * labels[i]!;
      }
      const truePositives = positives - positivesUnder;
      const trueNegatives = under - positivesUnder;
      out[at++] = (truePositives + trueNegatives) / total;
      out[at++] = truePositives / positives;
      out[at++] = (total - positives - trueNegatives) / (total - positives);
      const selected = total - under;
      out[at++] = truePositives / selected;
      out[at++] = (selected - truePositives) / selected;
      out[at++] = positivesUnder / under;
    }
  };

  const evaluate: WeightedStatistics = (drawn, out) => {
    let weights: Uint16Array | Float64Array = drawn;
    if (own && product) {
      for (let i = 0; i < own.length; i++) {
        product[i] = drawn[i]! * own[i]!;
      }
      weights = product;
    }
    for (let g = 0; g < groups; g++) {
      groupPass(weights, g, out);
    }
    out.fill(0, allBase, deviationBase);
    for (let p = 0; p < pairs.length; p++) {
      const { a, b, row, side, gap } = pairs[p]!;
      const observed = differences[p]!;
      coefficient[0] = 1 / sums[a]!;
      coefficient[1] = -1 / sums[b]!;
      let [difference, ks, w1, farthest, area] = [0, 0, 0, 0, 0];
      for (let j = 0; j < row.length; j++) {
        difference += weights[row[j]!]! * coefficient[side[j]!]!;
        const step = gap[j]!;
        if (step === 0) {
          continue;
        }
        const size = difference < 0 ? -difference : difference;
        if (size > ks) {
          ks = size;
        }
        w1 += size * step;
        const moved = difference - observed[j]!;
        const deviation = moved < 0 ? -moved : moved;
        if (deviation > farthest) {
          farthest = deviation;
        }
        area += deviation * step;
      }
      // A resampling that lacks a group has no difference at all.
      const defined = sums[a]! > 0 && sums[b]! > 0;
      if (deviationBase < out.length) {
        out[deviationBase + 2 * p] = defined ? farthest : 0;
        out[deviationBase + 2 * p + 1] = defined ? area : 0;
      }
      const at = pairBase + p * (per + 2);
      out[at] = ks;
      out[at + 1] = w1;
      for (let k = 0; k < per; k++) {
        out[at + 2 + k] = out[a * per + k]! - out[b * per + k]!;
      }
      // A pair whose difference is undefined makes the largest gap undefined, and it stays so.
      for (let k = 0; k < per + 2; k++) {
        const size = Math.abs(out[at + k]!);
        const largest = out[allBase + k]!;
        if (!Number.isNaN(largest) && !(size <= largest)) {
          out[allBase + k] = size;
        }
      }
    }
    for (let at = 0; at < odds; at++) {
      const [hits, alarms] = oddsAt[at]!;
      out[allBase + per + 2 + at] = Math.max(out[allBase + 2 + hits!]!, out[allBase + 2 + alarms!]!);
    }
  };
  return { keys, per, size, position, evaluate, differences };
}
