/** What an audit in a request takes and answers. */
import { z } from 'zod';
import { columnNameSchema } from '../../contracts/column-name.ts';
import { longArray } from '../../contracts/long-array.ts';
import { auditOptionsSchema } from './document.ts';

const MOST_ROWS = 1_000_000;

const numbers = longArray(z.number()).min(1).max(MOST_ROWS);

const labels = longArray(z.union([z.string().max(1000), z.number(), z.boolean()]))
  .min(1)
  .max(MOST_ROWS);

export const auditRequestSchema = auditOptionsSchema.extend({
  predictions: numbers,
  labels: labels
    .optional()
    .describe('outcomes: numbers; for classification 0 or 1, true or false, or texts with a `positive`'),
  groups: z
    .record(columnNameSchema, labels)
    .describe('group labels by attribute; the intersection of all is audited too'),
  weights: numbers
    .optional()
    .describe('how much every row counts, above 0: every mean, rate, gap, ratio and test is of weighted rows'),
  controls: z
    .record(columnNameSchema, labels)
    .optional()
    .describe('what may explain a difference: every attribute is audited again among rows alike in all of these'),
  consistency: z
    .strictObject({
      features: z.record(columnNameSchema, numbers),
      neighbours: z.number().int().min(1).max(100).default(5).describe('the row itself among them'),
    })
    .optional()
    .describe('numbers by which people are near each other, by Euclidean distance as given: are they treated alike?'),
  routing: z
    .strictObject({ routed: numbers, heads: z.array(numbers).min(2).max(65) })
    .optional()
    .describe('learned group of every row and scores of every head, the pooled one last: rationality and envy gaps'),
  counterfactual_predictions: numbers.optional().describe('score of the same person in the counterfactual world'),
  futures: z
    .strictObject({
      present: numbers,
      present_counterfactual: numbers,
      future: numbers,
      future_counterfactual: numbers,
    })
    .optional()
    .describe('status now and after the reaction in both worlds: present gap and average future causal effect'),
});

const measuredSchema = z.object({
  metric: z.string(),
  threshold: z.number().optional(),
  estimate: z.number().nullable(),
  low: z.number().nullable(),
  high: z.number().nullable(),
  standard_error: z.number().nullable(),
  reason: z.string().optional().describe('why there is no estimate'),
});

const sizedGroup = z.object({ level: z.string(), count: z.number().int() });

const ratioSchema = measuredSchema.extend({
  of: z.string().nullable(),
  over: z.string().nullable(),
  four_fifths: z
    .object({ holds: z.boolean(), certain: z.boolean().describe('whether the interval leaves no doubt') })
    .optional(),
});
const attributeSchema = z.object({
  attribute: z.string(),
  reference: z.string().nullable().describe('the level that all others are compared with; null: all pairs'),
  groups: z.array(sizedGroup.extend({ metrics: z.array(measuredSchema) })),
  excluded: z.array(sizedGroup).describe('groups below the minimum size: nothing is claimed of them'),
  pairs: z.array(
    z.object({
      a: z.string(),
      b: z.string(),
      ks_noise_floor: z.number().describe('KS distance that equal groups of these sizes exceed in 5 % of samples'),
      metrics: z.array(measuredSchema),
      ratios: z.array(measuredSchema).describe('rates of a over those of b'),
      tests: z.array(
        z.object({ metric: z.string(), threshold: z.number().optional(), p: z.number(), p_holm: z.number() }),
      ),
    }),
  ),
  overall: z.array(measuredSchema).describe('largest absolute gap over pairs'),
  ratios: z.array(ratioSchema).describe('smallest ratio over pairs, with the four-fifths rule on selection rates'),
  calibration: z
    .array(
      z.object({
        level: z.string(),
        error: measuredSchema,
        bias: measuredSchema.describe('mean score minus share with the outcome'),
        bins: z.array(
          z.object({
            from: z.number(),
            to: z.number(),
            count: z.number().int(),
            mean_score: z.number().nullable(),
            observed: z.number().nullable(),
            low: z.number().nullable(),
            high: z.number().nullable(),
          }),
        ),
      }),
    )
    .optional()
    .describe('of labelled classifications with scores in [0, 1]'),
});
export const auditSchema = z.object({
  rows: z.number().int(),
  task: z.enum(['regression', 'classification']),
  method: z.object({
    intervals: z.string(),
    tests: z.string(),
    level: z.number(),
    draws: z.number(),
    permutations: z.number(),
    seed: z.number(),
    minimum_group: z.number(),
  }),
  attributes: z.array(
    attributeSchema.extend({
      conditional: z
        .object({
          control: z.string(),
          strata: z.array(
            z.object({
              level: z.string(),
              count: z.number().int(),
              audit: attributeSchema.nullable(),
              reason: z.string().optional().describe('why there is no audit of this stratum'),
            }),
          ),
        })
        .optional(),
    }),
  ),
  individual: z
    .object({
      inequality: z
        .array(
          z.object({
            threshold: z.number(),
            generalized_entropy: measuredSchema,
            theil_index: measuredSchema,
            between_groups: z.array(z.object({ attribute: z.string(), generalized_entropy: measuredSchema })),
          }),
        )
        .describe('of benefits decision - label + 1'),
      consistency: z.array(measuredSchema).describe('1 minus the mean distance to the mean of the nearest rows'),
    })
    .optional(),
  preferences: z
    .object({
      loss: z.enum(['error', 'squared_error']),
      groups: z.array(
        z.object({
          group: z.number().int(),
          count: z.number().int(),
          own: measuredSchema,
          pooled: measuredSchema,
          rationality: measuredSchema,
          envy: measuredSchema.nullable(),
        }),
      ),
      without_harm_rate: z.number(),
      worst_gap: z.number(),
      demographics: z.array(
        z.object({
          attribute: z.string(),
          mutual_information: z.number().describe('of learned group and attribute, in nats'),
          groups: z.array(
            sizedGroup.extend({ rationality: measuredSchema, harmed: z.boolean(), routing: z.array(z.number()) }),
          ),
          excluded: z.array(sizedGroup).describe('groups below the minimum size: nothing is claimed of them'),
        }),
      ),
    })
    .optional(),
  counterfactual_gap: measuredSchema.optional(),
  lookahead: z
    .object({ present_gap: measuredSchema, future_gap: measuredSchema, improvement: z.number().nullable() })
    .optional(),
});
