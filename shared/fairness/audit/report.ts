/** An audit: predictions, labels and groups in, metrics with intervals and p-values out. */

import { jsonPointer } from '../../contracts/problem.ts';
import { dataError, placed, requireSquarable } from '../data-error.ts';
import { type AttributeOptions, type AttributeReport, type AuditColumnsOf, auditAttribute } from './attribute.ts';
import { type Conditional, conditionalAudit } from './conditional.ts';
import { type Grouping, intersection } from './groups.ts';
import type { Task } from './statistics.ts';

type AuditInput = AuditColumnsOf & {
  groups: readonly Grouping[];
  /** Strata within which every attribute is audited once more. */
  control?: Grouping;
};
type AuditOptions = AttributeOptions & {
  /** Also audit the intersection of all attributes, where there are several. */
  intersections: boolean;
  /** The level of an attribute that its others are compared with. */
  reference: Readonly<Record<string, string>>;
};
/** Without a request: a thousand draws, and nothing that one would have to ask for. */
const DEFAULTS: AuditOptions = {
  task: 'regression',
  thresholds: [],
  minimum: 30,
  draws: 1000,
  permutations: 1000,
  level: 0.95,
  seed: 0,
  bins: 10,
  intersections: true,
  reference: {},
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
  attributes: (AttributeReport & { conditional?: Conditional })[];
};

/** Refuses columns that no audit can be made of. Raises `data_invalid` with the code of the fault. */
function checkAuditColumns({ predictions, labels, weights, groups, control }: AuditInput, task: Task): void {
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
  if (weights) {
    if (weights.length !== n) {
      throw dataError('length_mismatch', '/weights', `${weights.length} weights for ${n} predictions`);
    }
    requireSquarable(weights, '/weights');
    for (let i = 0; i < n; i++) {
      if (!(weights[i]! > 0)) {
        throw dataError(
          'value_out_of_range',
          `/weights/${i}`,
          `weight ${i} is ${weights[i]}; a row counts more than 0`,
        );
      }
    }
  }
  if (control && control.groupIds.length !== n) {
    throw dataError('length_mismatch', '/controls', `${control.groupIds.length} values for ${n} predictions`);
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

/** The reference of the intersection: the combination of those of all attributes. */
function jointReference(
  { levels }: Grouping,
  groups: readonly Grouping[],
  reference: AuditOptions['reference'],
): string | undefined {
  const each = groups.map(({ name }) => reference[name]);
  if (each.some((level) => level === undefined)) {
    return undefined;
  }
  const [plain, quoted] = [each.join(' & '), each.map((level) => JSON.stringify(level)).join(' & ')];
  return levels.includes(plain) ? plain : quoted;
}

/** Audits every attribute and, by default, their intersection. Raises `data_invalid` for data that cannot be audited. */
export function audit(input: AuditInput, given: Partial<AuditOptions> = {}): AuditReport {
  const options = { ...DEFAULTS, ...given };
  checkAuditColumns(input, options.task);
  const { groups, control } = input;
  const unknown = Object.keys(options.reference).find((name) => groups.every((group) => group.name !== name));
  if (unknown !== undefined) {
    throw dataError('group_unknown', jsonPointer(['reference', unknown]), `there is no attribute ${unknown}`);
  }
  const audited = groups.map((group) => ({ group, reference: options.reference[group.name] }));
  if (options.intersections && groups.length > 1) {
    const joint = intersection(groups);
    audited.push({ group: joint, reference: jointReference(joint, groups, options.reference) });
  }
  const attribute = ({ group, reference }: (typeof audited)[number]): AuditReport['attributes'][number] => ({
    ...auditAttribute(input, group, options, reference),
    ...(control && { conditional: conditionalAudit(input, group, control, options, reference) }),
  });
  return {
    rows: input.predictions.length,
    task: options.task,
    method: {
      intervals:
        'BCa bootstrap within groups (means, variances, errors, AUC); Wilson and Newcombe (rates), MOVER (their ratios), with the effective number of weighted rows; bounds from the signed pair intervals, simultaneous below (largest gaps, KS, W1, calibration errors) or above (smallest ratios)',
      tests: 'permutation of group membership, Holm over pairs',
      level: options.level,
      draws: options.draws,
      permutations: options.permutations,
      seed: options.seed,
      minimum_group: options.minimum,
    },
    attributes: audited.map((one, k) =>
      k < groups.length
        ? attribute(one)
        : // No field of the request holds the intersection: it is made of all of them.
          placed(
            () => '/groups',
            () => attribute(one),
          ),
    ),
  };
}
