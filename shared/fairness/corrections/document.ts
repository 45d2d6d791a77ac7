/** Closed-form corrections as the API takes them. */
import { z } from 'zod';
import { columnNameSchema } from '../../contracts/column-name.ts';
import { longArray } from '../../contracts/long-array.ts';
import { seedSchema } from '../../contracts/manifest.ts';
import { lookaheadDocumentSchema } from '../lookahead/document.ts';
import { CONSTRAINTS, OBJECTIVES } from '../thresholds/document.ts';

const number = z.number();
const vector = (most: number) => longArray(number).min(1).max(most);
const rowsOf = (mostRows: number, mostCols: number) => longArray(vector(mostCols)).min(1).max(mostRows);
const label = z.union([z.string().max(1000), z.number(), z.boolean()]);

/** Group moments, or rows with a group label each; labels are used for the moments and dropped. */
const groupDataSchema = z.union([
  z.strictObject({
    moments: z
      .array(z.strictObject({ count: z.number().min(2), mean: vector(1024), covariance: rowsOf(1024, 1024) }))
      .min(2)
      .max(16)
      .describe('per group: rows, mean, covariance (divided by count - 1)'),
  }),
  z.strictObject({ rows: rowsOf(1_000_000, 1024), groups: longArray(label).min(1).max(1_000_000) }),
]);
const tau = z.number().describe('share of the mean gap that stays: 0 removes it');
const budget = (what: string) => z.number().describe(`how many times smaller the ${what} budget is to become, from 1`);

export const correctionSchema = z.discriminatedUnion('method', [
  z.strictObject({
    method: z.literal('scalar_head'),
    weights: vector(1024),
    bias: z.number().default(0),
    tau: tau.default(0),
    ridge: z.number().min(0).max(1).default(0),
    data: groupDataSchema,
  }),
  z.strictObject({
    method: z.literal('layer'),
    weights: rowsOf(1024, 1024).describe('outputs x inputs'),
    c1: budget('mean').default(15),
    c2: budget('covariance').default(150),
    covariance_at: z.enum(['input', 'pre_activation']).default('input'),
    data: groupDataSchema,
  }),
  z.strictObject({
    method: z.literal('layer_mean'),
    weights: rowsOf(1024, 1024),
    tau: tau.default(0),
    ridge: z.number().min(0).max(1).default(0),
    data: groupDataSchema,
  }),
  z
    .strictObject({
      method: z.literal('group_thresholds'),
      scores: vector(1_000_000).describe('of a classifier, on rows that it was not trained on'),
      labels: longArray(label).min(1).max(1_000_000).describe('0 or 1, true or false, or texts with a `positive`'),
      groups: longArray(label).min(1).max(1_000_000),
      positive: z.string().max(1000).nullable().default(null).describe('label that counts as 1'),
      constraint: z.enum(CONSTRAINTS).default('equalized_odds'),
      objective: z.enum(OBJECTIVES).default('accuracy'),
      grid: z
        .number()
        .int()
        .min(2)
        .max(100_000)
        .nullable()
        .default(null)
        .describe('steps of an even grid of the constrained rate; null: every rate at which the best can lie'),
      attribute: columnNameSchema.default('group').describe('column of group labels, for the predictor'),
      column: columnNameSchema.default('score').describe('column of scores, for the predictor'),
      id: columnNameSchema.nullable().default(null).describe('column that decides the coin; null: the row number'),
      seed: seedSchema.default(0).describe('of the coins'),
    })
    .describe(
      'thresholds for every group (Hardt, Price and Srebro 2016), mixed at random where one alone cannot meet the constraint',
    ),
  z
    .strictObject({
      method: z.literal('retune'),
      kind: z.enum(['mean', 'covariance']),
      vectors: rowsOf(1024, 1024).describe('as a `layer` correction answered them'),
      squares: vector(1024),
      costs: vector(1024),
      ratios: z.array(budget('chosen')).min(1).max(50),
    })
    .describe('other budgets for a layer already corrected: no data needed'),
  z.strictObject({
    method: z.literal('barycentre'),
    scores: vector(1_000_000).describe('calibration scores'),
    groups: longArray(label).min(1).max(1_000_000),
    split: z.boolean().default(true),
    apply: z
      .strictObject({ scores: vector(1_000_000), groups: longArray(label).min(1).max(1_000_000) })
      .optional()
      .describe('rows to map; the calibration rows where left out'),
  }),
  z.strictObject({
    method: z.literal('gaussian_barycentre'),
    groups: z
      .array(z.strictObject({ share: z.number().positive(), mean: number, deviation: z.number().positive() }))
      .min(2)
      .max(64),
  }),
  z.strictObject({
    method: z.literal('lookahead_refit'),
    predictor: lookaheadDocumentSchema,
    moments: z.strictObject({
      count: z.number().int().min(1),
      free: z.array(columnNameSchema).max(200),
      second: rowsOf(204, 204).describe('mean of v v^T for v = (1, s, U of `free`, q, y)'),
    }),
    settings: z
      .array(z.strictObject({ eta: number, rho: number }))
      .min(1)
      .max(50)
      .describe('what-if: one refit for each'),
  }),
]);
export type Correction = z.output<typeof correctionSchema>;
export type GroupData = z.output<typeof groupDataSchema>;
