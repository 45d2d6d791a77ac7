/** An audit as the API and the job take it: columns and options in, one document with every part that the columns allow. */
import { z } from 'zod';
import { columnNameSchema } from '../../contracts/column-name.ts';
import { seedSchema } from '../../contracts/manifest.ts';
import type { Interval } from '../../math/resample.ts';
import { dataError, requireFinite } from '../data-error.ts';
import { decisionError } from '../decision.ts';
import { mutualInformation } from '../gated/demographics.ts';
import { preferenceGaps, riskMatrix, withoutHarm } from '../gated/preferences.ts';
import { type Grouping, intersection } from './groups.ts';
import { type IndividualReport, individualReport } from './individual-report.ts';
import { type Measured, measured } from './measured.ts';
import { meanIntervals, preferenceIntervals } from './preferences.ts';
import { type AuditReport, audit } from './report.ts';

export const auditOptionsSchema = z.strictObject({
  task: z.enum(['regression', 'classification']).default('regression'),
  thresholds: z.array(z.number()).max(20).optional().describe('0.5 by default for classification, none for regression'),
  minimum_group: z
    .number()
    .int()
    .min(2)
    .max(1_000_000)
    .default(30)
    .describe('groups of fewer rows are listed, nothing is claimed of them'),
  draws: z.number().int().min(10).max(100_000).default(500).describe('bootstrap draws'),
  permutations: z.number().int().min(10).max(100_000).default(200),
  level: z.number().min(0.5).max(0.999).default(0.95),
  seed: seedSchema.default(0),
  intersections: z.boolean().default(true),
  reference: z
    .record(columnNameSchema, z.string().max(1000))
    .default({})
    .describe('by attribute, the level that the others are compared with; all pairs are compared where none is given'),
  calibration_bins: z
    .number()
    .int()
    .min(2)
    .max(100)
    .default(10)
    .describe('bins of equal width of the reliability plot, for labelled classification with scores in [0, 1]'),
  entropy_alpha: z
    .number()
    .min(-10)
    .max(10)
    .default(2)
    .describe('of the generalised entropy of benefits; 1 is the Theil index'),
  positive: z
    .string()
    .max(1000)
    .nullable()
    .default(null)
    .describe('label that counts as 1; null: labels are numbers, or true and false'),
});
export type AuditOptionsDocument = z.output<typeof auditOptionsSchema>;

export type AuditColumnsInput = {
  predictions: Float64Array;
  labels?: Float64Array;
  groups: Grouping[];
  /** How much every row counts; 1 where left out. */
  weights?: Float64Array;
  /** Strata within which every attribute is audited once more. */
  control?: Grouping;
  /** Numbers by which people are near each other, and how many neighbours are compared. */
  consistency?: { features: readonly Float64Array[]; neighbours: number };
  /** Learned group of every row and the scores of every head, pooled last. */
  routing?: { routed: ArrayLike<number>; heads: readonly Float64Array[] };
  /** Score of the same person in the counterfactual world. */
  counterfactual?: Float64Array;
  /** Status now and after the reaction, in both worlds. */
  futures?: { present: Float64Array; presentOther: Float64Array; future: Float64Array; futureOther: Float64Array };
};

type PreferencesReport = {
  /** Errors at 1/2 for classification, squared errors for regression. */
  loss: 'error' | 'squared_error';
  groups: {
    group: number;
    count: number;
    own: Measured;
    pooled: Measured;
    rationality: Measured;
    envy: Measured | null;
  }[];
  without_harm_rate: number;
  worst_gap: number;
  demographics: {
    attribute: string;
    /** Information of the learned group about the attribute, in nats. */
    mutual_information: number;
    groups: { level: string; count: number; rationality: Measured; harmed: boolean; routing: number[] }[];
    /** Groups below the minimum size: nothing is claimed of them. */
    excluded: { level: string; count: number }[];
  }[];
};
type AuditDocument = AuditReport & {
  individual?: IndividualReport;
  preferences?: PreferencesReport;
  counterfactual_gap?: Measured;
  lookahead?: { present_gap: Measured; future_gap: Measured; improvement: number | null };
};

const absoluteGap = (a: Float64Array, b: Float64Array): Float64Array => a.map((value, i) => Math.abs(value - b[i]!));
const requireLength = (values: ArrayLike<number>, n: number, pointer: string): void => {
  if (values.length !== n) {
    throw dataError('length_mismatch', pointer, `${values.length} values for ${n} predictions`);
  }
  requireFinite(values, pointer);
};

const UNDEFINED: Interval = { estimate: Number.NaN, low: Number.NaN, high: Number.NaN, error: Number.NaN };
/** Of a learned group, one of so many, to which no row goes: nothing is defined. */
const unseen = (groups: number) => ({
  count: 0,
  own: UNDEFINED,
  pooled: UNDEFINED,
  rationality: UNDEFINED,
  envy: groups > 1 ? UNDEFINED : null,
});

/**
 * Gaps of learned groups and, where `groups` names attributes, of demographic ones; needs `labels` and `routing`. Raises
 * `data_invalid`.
 */
export function preferencesReport(input: AuditColumnsInput, options: AuditOptionsDocument): PreferencesReport {
  const { labels, groups } = input;
  const { routed, heads } = input.routing!;
  if (!labels) {
    throw dataError('column_missing', '/labels', 'gaps of learned groups need labels');
  }
  const n = labels.length;
  if (heads.length < 2) {
    throw dataError(
      'length_mismatch',
      '/routing/heads',
      'scores of at least one head and of the pooled one are needed',
    );
  }
  heads.forEach((scores, j) => {
    requireLength(scores, n, `/routing/heads/${j}`);
  });
  if (routed.length !== n) {
    throw dataError('length_mismatch', '/routing/routed', `${routed.length} learned groups for ${n} predictions`);
  }
  const error = options.task === 'classification';
  const losses = heads.map((scores) =>
    scores.map((score, i) => (error ? decisionError(score, labels[i]!) : (score - labels[i]!) ** 2)),
  );
  const risks = riskMatrix(losses, routed);
  const harm = withoutHarm(preferenceGaps(risks));
  const k = heads.length - 1;
  const settings = { draws: options.draws, level: options.level, seed: options.seed };
  const gain = Float64Array.from(losses[k]!, (pooled, i) => pooled - losses[routed[i]!]![i]!);
  const groupings = options.intersections && groups.length > 1 ? [...groups, intersection(groups)] : groups;
  const seen = new Map(preferenceIntervals(losses, routed, settings).map((g) => [g.group, g]));
  return {
    loss: error ? 'error' : 'squared_error',
    groups: Array.from({ length: k }, (_, group) => {
      const { count, own, pooled, rationality, envy } = seen.get(group) ?? unseen(k);
      const reason = count === 0 ? 'no row goes to this group' : undefined;
      const told = (name: string, interval: Interval) => measured(name, interval, undefined, reason);
      return {
        group,
        count,
        own: told('own', own),
        pooled: told('pooled', pooled),
        rationality: told('rationality', rationality),
        envy: envy && told('envy', envy),
      };
    }),
    without_harm_rate: harm.rate,
    worst_gap: harm.worst,
    demographics: groupings.map(({ name, groupIds, levels }) => {
      const intervals = meanIntervals(gain, groupIds, levels.length, settings, `rationality/${name}`);
      const sizes = levels.map((level, g) => ({
        level,
        g,
        count: groupIds.reduce((sum, c) => sum + Number(c === g), 0),
      }));
      const [large, small] = [true, false].map((wanted) =>
        sizes.filter(({ count }) => count >= options.minimum_group === wanted),
      ) as [typeof sizes, typeof sizes];
      return {
        attribute: name,
        mutual_information: mutualInformation(routed, k, groupIds, levels.length),
        excluded: small.map(({ level, count }) => ({ level, count })),
        groups: large.map(({ level, g, count }) => {
          const routing = new Array<number>(k).fill(0);
          for (let i = 0; i < n; i++) {
            if (groupIds[i] === g) {
              routing[routed[i]!]! += 1;
            }
          }
          const interval: Interval = intervals[g]!;
          // The point gap flags harm: an audit errs on the side of the group, the interval says how sure it is.
          return {
            level,
            count,
            rationality: measured('rationality', interval),
            harmed: interval.estimate < 0,
            routing: routing.map((x) => x / count),
          };
        }),
      };
    }),
  };
}

/** Every part of the audit that the columns allow. Raises `data_invalid`. */
export function auditDocument(input: AuditColumnsInput, options: AuditOptionsDocument): AuditDocument {
  const { task, draws, permutations, level, seed, intersections, reference } = options;
  const thresholds = options.thresholds ?? (task === 'classification' ? [0.5] : []);
  const { predictions, labels, groups, weights, control } = input;
  if (weights && input.routing) {
    throw dataError(
      'column_unexpected',
      '/weights',
      'gaps of learned groups count every row once; leave the weights out',
    );
  }
  const report: AuditDocument = audit(
    { predictions, ...(labels && { labels }), ...(weights && { weights }), ...(control && { control }), groups },
    {
      task,
      thresholds,
      minimum: options.minimum_group,
      draws,
      permutations,
      level,
      seed,
      bins: options.calibration_bins,
      intersections,
      reference,
    },
  );
  const individual = individualReport(input, { task, thresholds, alpha: options.entropy_alpha, draws, level, seed });
  if (individual) {
    report.individual = individual;
  }
  const n = input.predictions.length;
  const all = new Uint8Array(n);
  const meanOf = (values: Float64Array, name: string): Measured =>
    measured(name, meanIntervals(values, all, 1, { draws, level, seed }, name, weights)[0]!);
  if (input.routing) {
    report.preferences = preferencesReport(input, options);
  }
  if (input.counterfactual) {
    requireLength(input.counterfactual, n, '/counterfactual_predictions');
    report.counterfactual_gap = meanOf(absoluteGap(input.predictions, input.counterfactual), 'counterfactual_gap');
  }
  if (input.futures) {
    const { present, presentOther, future, futureOther } = input.futures;
    const named = { present, present_counterfactual: presentOther, future, future_counterfactual: futureOther };
    for (const [name, values] of Object.entries(named)) {
      requireLength(values, n, `/futures/${name}`);
    }
    const presentGap = meanOf(absoluteGap(present, presentOther), 'present_gap');
    const futureGap = meanOf(absoluteGap(future, futureOther), 'future_gap');
    const improvement = presentGap.estimate ? 1 - futureGap.estimate! / presentGap.estimate : null;
    report.lookahead = { present_gap: presentGap, future_gap: futureGap, improvement };
  }
  return report;
}
