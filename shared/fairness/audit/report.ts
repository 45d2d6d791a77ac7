/** An audit: predictions, labels and groups in, metrics with intervals and p-values out. */

import { jsonPointer } from '../../contracts/problem.ts';
import { stream } from '../../math/random.ts';
import type { Interval } from '../../math/resample.ts';
import { dataError, placed, requireSquarable } from '../data-error.ts';
import { eligibleGroups, type Grouping, intersection } from './groups.ts';
import { auditIntervals } from './intervals.ts';
import { layOut } from './layout.ts';
import { holm, permutationTests } from './permutation.ts';
import { auditStatistics, type Task } from './statistics.ts';

type AuditInput = { predictions: ArrayLike<number>; labels?: ArrayLike<number>; groups: readonly Grouping[] };
type AuditOptions = {
  task: Task;
  thresholds: readonly number[];
  /** Groups of fewer rows are listed but nothing is claimed of them. */
  minimum: number;
  draws: number;
  permutations: number;
  level: number;
  seed: number;
  /** Also audit the intersection of all attributes, where there are several. */
  intersections: boolean;
};
export const AUDIT_DEFAULTS: AuditOptions = {
  task: 'regression',
  thresholds: [],
  minimum: 30,
  draws: 1000,
  permutations: 1000,
  level: 0.95,
  seed: 0,
  intersections: true,
};

/** A number with its interval; null where it is not defined (such as an AUC without negatives). */
export type Measured = {
  metric: string;
  threshold?: number;
  estimate: number | null;
  low: number | null;
  high: number | null;
  standard_error: number | null;
  /** Why there is no estimate, where that is not plain from the metric. */
  reason?: string;
};
type PairReport = {
  a: string;
  b: string;
  /** KS distance that equal groups of these sizes exceed in 5 % of samples. */
  ks_noise_floor: number;
  metrics: Measured[];
  tests: { metric: string; threshold?: number; p: number; p_holm: number }[];
};
type AttributeReport = {
  attribute: string;
  groups: { level: string; count: number; metrics: Measured[] }[];
  excluded: { level: string; count: number }[];
  pairs: PairReport[];
  /** Largest absolute gap over pairs of each metric. */
  overall: Measured[];
};
export type AuditReport = {
  rows: number;
  task: Task;
  method: {
    intervals: string;
    tests: string;
    level: number;
    draws: number;
    permutations: number;
    seed: number;
    minimum_group: number;
  };
  attributes: AttributeReport[];
};

/** Two-sample KS distance exceeded with probability `alpha` under equality: sqrt(-ln(alpha / 2) (n1 + n2) / (2 n1 n2)). */
export const ksNoiseFloor = (n1: number, n2: number, alpha = 0.05): number =>
  Math.sqrt((-Math.log(alpha / 2) * (n1 + n2)) / (2 * n1 * n2));

const finite = (x: number): number | null => (Number.isFinite(x) ? x : null);
export const measured = (metric: string, interval: Interval, threshold?: number, reason?: string): Measured => ({
  metric,
  ...(threshold === undefined ? {} : { threshold }),
  estimate: finite(interval.estimate),
  low: finite(interval.low),
  high: finite(interval.high),
  standard_error: finite(interval.error),
  ...(reason === undefined ? {} : { reason }),
});

/** Refuses columns that no audit can be made of. Raises `data_invalid` with the code of the fault. */
function checkAuditColumns({ predictions, labels, groups }: AuditInput, task: Task): void {
  const n = predictions.length;
  if (n === 0) {
    throw dataError('length_mismatch', '/predictions', 'an audit needs at least one row');
  }
  requireSquarable(predictions, '/predictions');
  if (labels) {
    if (labels.length !== n) {
      throw dataError('length_mismatch', '/labels', `${labels.length} labels for ${n} predictions`);
    }
    requireSquarable(labels, '/labels');
    for (let i = 0; task === 'classification' && i < n; i++) {
      if (labels[i] !== 0 && labels[i] !== 1) {
        throw dataError('label_not_binary', `/labels/${i}`, `label ${i} is ${labels[i]}; classification needs 0 or 1`);
      }
    }
  }
  if (groups.length === 0) {
    throw dataError('group_count', '/groups', 'an audit needs at least one grouping');
  }
  for (const { name, groupIds } of groups) {
    if (groupIds.length !== n) {
      throw dataError(
        'length_mismatch',
        jsonPointer(['groups', name]),
        `${groupIds.length} values of ${name} for ${n} predictions`,
      );
    }
  }
  // Labels differ between groups where predictions do not: errors and rates are still to be told.
  if (labels) {
    return;
  }
  for (let i = 1; i < n; i++) {
    if (predictions[i] !== predictions[0]) {
      return;
    }
  }
  throw dataError(
    'prediction_constant',
    '/predictions',
    'all predictions are equal: without labels every gap is 0 and nothing can be measured',
  );
}

function auditAttribute(input: AuditInput, grouping: Grouping, options: AuditOptions): AttributeReport {
  const { task, thresholds, minimum, draws, permutations, level, seed } = options;
  const eligible = eligibleGroups(grouping, minimum);
  const layout = layOut(input, eligible.rows, eligible.counts, thresholds);
  const statistics = auditStatistics(layout, task);
  const { keys } = statistics;
  const random = stream(seed, `audit/${grouping.name}`);
  const intervals = auditIntervals(layout, statistics, { draws, level, minimum, random });
  const pick = (wanted: (key: (typeof keys)[number]) => boolean): Measured[] =>
    keys.flatMap((key, k) => {
      const { interval, reason } = intervals[k]!;
      return wanted(key) ? [measured(key.metric, interval, key.threshold, reason)] : [];
    });
  const tests = layout.pairs.map((pair, k) =>
    permutationTests(layout, pair, task, permutations, random.derive(`permutation/${k}`)),
  );
  const adjusted = tests[0]!.map((_, k) => holm(tests.map((list) => list[k]!.p)));
  return {
    attribute: grouping.name,
    groups: eligible.levels.map((name, g) => ({
      level: name,
      count: eligible.counts[g]!,
      metrics: pick((key) => key.scope === 'group' && key.group === g),
    })),
    excluded: eligible.excluded,
    pairs: layout.pairs.map(({ a, b }, k) => ({
      a: eligible.levels[a]!,
      b: eligible.levels[b]!,
      ks_noise_floor: ksNoiseFloor(eligible.counts[a]!, eligible.counts[b]!),
      metrics: pick((key) => key.scope === 'pair' && key.a === a && key.b === b),
      tests: tests[k]!.map((test, t) => ({ ...test, p_holm: adjusted[t]![k]! })),
    })),
    overall: pick((key) => key.scope === 'all'),
  };
}

/** Audits every attribute and, by default, their intersection. Raises `data_invalid` for data that cannot be audited. */
export function audit(input: AuditInput, given: Partial<AuditOptions> = {}): AuditReport {
  const options = { ...AUDIT_DEFAULTS, ...given };
  checkAuditColumns(input, options.task);
  const groupings = [...input.groups];
  if (options.intersections && groupings.length > 1) {
    groupings.push(intersection(groupings));
  }
  return {
    rows: input.predictions.length,
    task: options.task,
    method: {
      intervals:
        'BCa bootstrap within groups (means, variances, errors, AUC); Wilson and Newcombe (rates); bounds from the signed pair intervals, simultaneous below (largest gaps, KS, W1)',
      tests: 'permutation of group membership, Holm over pairs',
      level: options.level,
      draws: options.draws,
      permutations: options.permutations,
      seed: options.seed,
      minimum_group: options.minimum,
    },
    attributes: groupings.map((grouping, k) =>
      k < input.groups.length
        ? auditAttribute(input, grouping, options)
        : // No field of the request holds the intersection: it is made of all of them.
          placed(
            () => '/groups',
            () => auditAttribute(input, grouping, options),
          ),
    ),
  };
}
