/** The part of an audit that is about one attribute: its groups, pairs of them, the largest gaps and smallest ratios. */
import { jsonPointer } from '../../contracts/problem.ts';
import { ratioInterval, wilsonInterval } from '../../math/proportions.ts';
import { type RandomStream, stream } from '../../math/random.ts';
import { dataError } from '../data-error.ts';
import { areProbabilities, calibrationByGroup, type ReliabilityBin } from './calibration.ts';
import { eligibleGroups, type Grouping } from './groups.ts';
import { auditIntervals, CONDITION, type Found } from './intervals.ts';
import { type AuditLayout, layOut } from './layout.ts';
import { type Measured, measured } from './measured.ts';
import { holm, permutationTests } from './permutation.ts';
import { fourFifths, type GroupShare, type RatioFound, smallestRatio } from './ratios.ts';
import { type AuditStatistics, auditStatistics, ODDS, type Task } from './statistics.ts';

export type AuditColumnsOf = {
  predictions: ArrayLike<number>;
  labels?: ArrayLike<number>;
  /** How much every row counts; 1 where left out. */
  weights?: ArrayLike<number>;
};
export type AttributeOptions = {
  task: Task;
  thresholds: readonly number[];
  /** Groups of fewer rows are listed but nothing is claimed of them. */
  minimum: number;
  draws: number;
  permutations: number;
  level: number;
  seed: number;
  /** Bins of the reliability plot. */
  bins: number;
};

/** The smallest ratio of a rate between groups: of which group, over which. */
type RatioReport = Measured & {
  of: string | null;
  over: string | null;
  /** Of selection rates: whether the ratio is at least four fifths, and whether its interval leaves no doubt. */
  four_fifths?: { holds: boolean; certain: boolean };
};
type PairReport = {
  a: string;
  b: string;
  /** KS distance that equal groups of these sizes exceed in 5 % of samples. */
  ks_noise_floor: number;
  metrics: Measured[];
  /** Rates of a over those of b. */
  ratios: Measured[];
  tests: { metric: string; threshold?: number; p: number; p_holm: number }[];
};
type CalibrationReport = { level: string; error: Measured; bias: Measured; bins: ReliabilityBin[] };
export type AttributeReport = {
  attribute: string;
  /** The level that all others are compared with; null: all pairs are compared. */
  reference: string | null;
  groups: { level: string; count: number; metrics: Measured[] }[];
  excluded: { level: string; count: number }[];
  pairs: PairReport[];
  /** Largest absolute gap over pairs of each metric. */
  overall: Measured[];
  /** Smallest ratio over pairs of each rate. */
  ratios: RatioReport[];
  calibration?: CalibrationReport[];
};

/** Two-sample KS distance exceeded with probability `alpha` under equality: sqrt(-ln(alpha / 2) (n1 + n2) / (2 n1 n2)). */
export const ksNoiseFloor = (n1: number, n2: number, alpha = 0.05): number =>
  Math.sqrt((-Math.log(alpha / 2) * (n1 + n2)) / (2 * n1 * n2));

/** Position of the reference among the groups that are compared. Raises `data_invalid` (group_unknown). */
function referenceAt(attribute: string, levels: readonly string[], reference: string | undefined): number | undefined {
  if (reference === undefined) {
    return undefined;
  }
  const at = levels.indexOf(reference);
  if (at < 0) {
    throw dataError(
      'group_unknown',
      jsonPointer(['reference', attribute]),
      `the reference "${reference.slice(0, 60)}" is no group of ${attribute} with enough rows; these are: ${levels.slice(0, 20).join(', ')}`,
    );
  }
  return at;
}

/** Rates at every threshold, with what their ratios need. */
function rates(
  { keys, per }: AuditStatistics,
  found: readonly Found[],
): { metric: string; threshold: number; k: number }[] {
  return keys
    .slice(0, per)
    .flatMap(({ metric, threshold }, k) =>
      CONDITION[metric] && threshold !== undefined && found[k] ? [{ metric, threshold, k }] : [],
    );
}

/** The groups that have a rate told, each with its interval alone and with the one that holds in `comparisons` at once. */
function sharesAt(
  levels: readonly string[],
  per: number,
  found: readonly Found[],
  k: number,
  { level, comparisons }: { level: number; comparisons: number },
): GroupShare[] {
  const all = 1 - (1 - level) / comparisons;
  return levels.flatMap((name, g) => {
    const { interval, of } = found[g * per + k]!;
    return of === undefined || !Number.isFinite(interval.estimate)
      ? []
      : [{ level: name, interval, simultaneous: wilsonInterval(interval.estimate, of, all) }];
  });
}

/** Mean of the differences of both rates of equalised odds, independent of each other (MOVER): AIF360's average odds. */
function averageOdds(pair: readonly Measured[], thresholds: readonly number[]): Measured[] {
  return thresholds.flatMap((threshold): Measured[] => {
    const both = ODDS.map((rate) => pair.find((m) => m.metric === `${rate}_difference` && m.threshold === threshold));
    const [hits, alarms] = both;
    if (!hits || !alarms) {
      return [];
    }
    const side = (of: 'low' | 'high' | 'standard_error', from: 'estimate' | null): number =>
      Math.hypot(...[hits, alarms].map((m) => (m[of] ?? Number.NaN) - (from ? (m[from] ?? Number.NaN) : 0))) / 2;
    const estimate = ((hits.estimate ?? Number.NaN) + (alarms.estimate ?? Number.NaN)) / 2;
    const interval = {
      estimate,
      low: estimate - side('low', 'estimate'),
      high: estimate + side('high', 'estimate'),
      error: side('standard_error', null),
    };
    return [measured('average_odds_difference', interval, threshold, hits.reason ?? alarms.reason)];
  });
}

const NO_RATIO = 'no two groups with enough rows have a rate above 0';

function ratioReport(metric: string, threshold: number, found: RatioFound | null): RatioReport {
  if (!found) {
    const none = { estimate: Number.NaN, low: Number.NaN, high: Number.NaN, error: Number.NaN };
    return { ...measured(metric, none, threshold, NO_RATIO), of: null, over: null };
  }
  return {
    ...measured(metric, found.interval, threshold),
    of: found.of,
    over: found.over,
    ...(metric === 'selection_rate_ratio' && { four_fifths: fourFifths(found.interval) }),
  };
}

/** The smallest ratio of every rate, and the smaller of both that equalised odds asks for. */
function smallestRatios(
  layout: AuditLayout,
  statistics: AuditStatistics,
  found: readonly Found[],
  levels: readonly string[],
  { level, reference }: { level: number; reference: number | undefined },
): RatioReport[] {
  const { per } = statistics;
  const compared = reference === undefined ? undefined : levels[reference];
  const smallest = (k: number, tests: number): RatioFound | null => {
    const shares = sharesAt(levels, per, found, k, { level, comparisons: tests * layout.pairs.length });
    const at = compared === undefined ? undefined : shares.findIndex((share) => share.level === compared);
    return at === -1 ? null : smallestRatio(shares, at);
  };
  const told = rates(statistics, found);
  const list = told.map(({ metric, threshold, k }) => ratioReport(`${metric}_ratio`, threshold, smallest(k, 1)));
  for (const threshold of layout.thresholds) {
    const odds = told.filter((rate) => rate.threshold === threshold && ODDS.some((metric) => metric === rate.metric));
    if (odds.length < 2) {
      continue;
    }
    const both = odds.map(({ k }) => smallest(k, 2));
    const [least] = both
      .filter((one) => one !== null)
      .toSorted((one, other) => one.interval.estimate - other.interval.estimate);
    const whole = least && both.every((one) => one !== null);
    const merged = whole && {
      ...least,
      interval: {
        ...least.interval,
        low: Math.min(...both.map((one) => one!.interval.low)),
        high: Math.max(least.interval.estimate, Math.min(...both.map((one) => one!.interval.high))),
      },
    };
    list.push(ratioReport('equalized_odds_ratio', threshold, merged || null));
  }
  return list;
}

/** Calibration of every group, where the scores can be probabilities and there are outcomes. */
function calibrationOf(
  layout: AuditLayout,
  levels: readonly string[],
  { task, draws, level, bins }: AttributeOptions,
  random: RandomStream,
): CalibrationReport[] | undefined {
  if (task !== 'classification' || !layout.labels || !areProbabilities(layout.predictions)) {
    return undefined;
  }
  return calibrationByGroup(layout, { bins, draws, level, random }).map(({ error, bias, bins: plotted }, g) => ({
    level: levels[g]!,
    error: measured('calibration_error', error),
    bias: measured('calibration_in_the_large', bias),
    bins: plotted,
  }));
}

/** Audits one attribute. Raises `data_invalid` for one that has nothing to compare. */
export function auditAttribute(
  input: AuditColumnsOf,
  grouping: Grouping,
  options: AttributeOptions,
  reference?: string,
): AttributeReport {
  const { task, thresholds, minimum, draws, permutations, level, seed } = options;
  const eligible = eligibleGroups(grouping, minimum);
  const { levels } = eligible;
  const compared = referenceAt(grouping.name, levels, reference);
  const layout = layOut(input, eligible.rows, eligible.counts, thresholds, compared);
  const statistics = auditStatistics(layout, task);
  const { keys, per } = statistics;
  const random = stream(seed, `audit/${grouping.name}`);
  const found = auditIntervals(layout, statistics, { draws, level, minimum, random });
  const pick = (wanted: (key: (typeof keys)[number]) => boolean): Measured[] =>
    keys.flatMap((key, k) => {
      const { interval, reason } = found[k]!;
      return wanted(key) ? [measured(key.metric, interval, key.threshold, reason)] : [];
    });
  const tests = layout.pairs.map((pair, k) =>
    permutationTests(layout, pair, task, permutations, random.derive(`permutation/${k}`)),
  );
  const adjusted = tests[0]!.map((_, k) => holm(tests.map((list) => list[k]!.p)));
  const calibration = calibrationOf(layout, levels, options, random);
  const withAverageOdds = (pair: Measured[]): Measured[] => [...pair, ...averageOdds(pair, thresholds)];
  return {
    attribute: grouping.name,
    reference: reference ?? null,
    groups: levels.map((name, g) => ({
      level: name,
      count: eligible.counts[g]!,
      metrics: pick((key) => key.scope === 'group' && key.group === g),
    })),
    excluded: eligible.excluded,
    pairs: layout.pairs.map(({ a, b }, k) => ({
      a: levels[a]!,
      b: levels[b]!,
      ks_noise_floor: ksNoiseFloor(layout.effective[a]!, layout.effective[b]!),
      metrics: withAverageOdds(pick((key) => key.scope === 'pair' && key.a === a && key.b === b)),
      ratios: rates(statistics, found).map(({ metric, threshold, k: at }) => {
        const [first, second] = [found[a * per + at]!, found[b * per + at]!];
        return measured(
          `${metric}_ratio`,
          ratioInterval(first.interval, second.interval),
          threshold,
          first.reason ?? second.reason,
        );
      }),
      tests: tests[k]!.map((test, t) => ({ ...test, p_holm: adjusted[t]![k]! })),
    })),
    overall: pick((key) => key.scope === 'all'),
    ratios: smallestRatios(layout, statistics, found, levels, { level, reference: compared }),
    ...(calibration && { calibration }),
  };
}
