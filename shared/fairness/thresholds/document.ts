/** Group thresholds as the API takes and stores them. */
import { z } from 'zod';
import { columnNameSchema } from '../../contracts/column-name.ts';
import { seedSchema } from '../../contracts/manifest.ts';

export const CONSTRAINTS = [
  'demographic_parity',
  'true_positive_rate_parity',
  'false_positive_rate_parity',
  'equalized_odds',
] as const;
export const OBJECTIVES = ['accuracy', 'balanced_accuracy'] as const;

const thresholdSchema = z
  .union([z.number(), z.enum(['nobody', 'everybody'])])
  .describe('scores above it are accepted; `nobody` and `everybody` stand for no threshold at all');
const share = z.number().min(0).max(1);

/** The rule of one group: a coin that ignores the score, else one of two thresholds. */
const groupRuleSchema = z.strictObject({
  level: z.string().max(1000),
  ignore: share.default(0).describe('probability that the score is ignored'),
  accept_ignored: share.default(0).describe('probability of acceptance where it is'),
  mix: z
    .array(z.strictObject({ share, above: thresholdSchema }))
    .min(1)
    .max(2)
    .describe('thresholds of which one is drawn; their shares add up to 1'),
});
export type GroupRule = z.output<typeof groupRuleSchema>;

/** The fields of a group thresholds document but for its `base`, which is a predictor document of another kind. */
export const groupThresholdsShape = {
  kind: z.literal('group_thresholds'),
  attribute: columnNameSchema.describe('column of group labels'),
  groups: z.array(groupRuleSchema).min(1).max(64),
  seed: seedSchema.default(0).describe('of the coins'),
  id: columnNameSchema
    .nullable()
    .default(null)
    .describe(
      'column whose cell decides the coin, so that a person has the same one in every table; null: the row number',
    ),
};
export const scoreColumnSchema = z.strictObject({ column: columnNameSchema }).describe('a column of scores');
