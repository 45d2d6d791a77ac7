/** What `fairness.fit_lookahead` takes besides the table: the structural model, estimated or given, and what is asked of the score. */
import { z } from 'zod';
import { columnNameSchema, distinctNamesSchema } from '../../contracts/column-name.ts';
import { latentDocumentSchema, lookaheadDocumentSchema, multiplicativeDocumentSchema, scmSchema } from './document.ts';

const estimateSchema = z
  .array(
    z.strictObject({
      name: columnNameSchema,
      parents: distinctNamesSchema.max(100).default([]),
      attribute: z.boolean().default(true),
    }),
  )
  .min(1)
  .max(100)
  .describe('what depends on what: every coefficient is fitted by least squares');

const latentSchema = z.strictObject({
  children: z
    .array(z.strictObject({ name: columnNameSchema, family: z.enum(['gaussian', 'poisson']).default('gaussian') }))
    .min(1)
    .max(10),
  covariates: distinctNamesSchema
    .max(20)
    .default([])
    .describe('observed columns that act beside the attribute; categories get an indicator per level but the first'),
  burn_in: z.number().int().min(10).max(100_000).default(300),
  samples: z.number().int().min(10).max(100_000).default(500),
  status_variance: z.number().positive().nullable().default(1).describe('null: sampled'),
});

export const lookaheadFitFields = {
  attribute: z.strictObject({
    column: columnNameSchema,
    labels: z.array(z.string().max(1000)).min(2).max(32).describe('cells of the attribute column, one per value'),
    values: z.array(z.number()).min(2).max(32).optional().describe('their numbers in the model; 0, 1, ... by default'),
  }),
  status: columnNameSchema,
  model: z.union([
    z.strictObject({ estimate: estimateSchema }).describe('linear model of the given shape'),
    lookaheadDocumentSchema
      .pick({ noise: true, outer: true, curve: true, lowest: true })
      .extend({ coefficients: scmSchema })
      .describe('additive model with the given coefficients; with `curve` the status is a power of it'),
    z
      .strictObject({
        multiplicative: multiplicativeDocumentSchema.pick({ features: true, status: true, noise: true }),
      })
      .describe('given coefficients where the attribute scales the features; `attribute.values` are its two values'),
    z
      .strictObject({ latent: latentSchema })
      .describe('one latent variable behind the children and the status; it is what people can move'),
    z
      .strictObject({ knowledge: latentDocumentSchema.pick({ covariates: true, children: true, status: true }) })
      .describe('the same with the given coefficients; the status is observed where it has a deviation'),
  ]),
  eta: z.array(z.number()).min(1).max(20).default([10]).describe('strengths of reaction; the first is published'),
  rho: z
    .array(z.number())
    .min(1)
    .max(20)
    .default([1, 0.5, 0])
    .describe('shares of the gap to remove, p1 = rho T / 2; the first is published'),
  status_observed: z.boolean().default(false).describe('rows to predict will carry the status'),
  path: z
    .strictObject({ fair: z.array(columnNameSchema).max(100), frozen: z.boolean().default(false) })
    .optional()
    .describe('of additive models: variables whose direct attribute effect is fair'),
};
const fitSchema = z.strictObject(lookaheadFitFields);
export type LookaheadFit = z.output<typeof fitSchema>;
export type FitModel = LookaheadFit['model'];
/** One alternative of the model, by the field that tells it. */
export type FitModelOf<K extends string> = Extract<FitModel, Record<K, unknown>>;
