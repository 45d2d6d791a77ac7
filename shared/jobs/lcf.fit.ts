/** `lcf.fit`: a predictor that is fair in the future it causes (arXiv:2412.01065), with its structural model. */
import { z } from 'zod';
import { columnNameSchema } from '../contracts/column-name.ts';
import { tableInput, tableReportSchema, tableSourceSchema } from '../contracts/table.ts';
import { predictorIdSchema, seedSchema } from '../contracts/thing.ts';
import { scmSchema } from '../fairness/predictors/lookahead-document.ts';
import { defineJob } from './contract.ts';

const name = columnNameSchema;
export const lcfPointSchema = z.object({
  eta: z.number(),
  rho: z.number(),
  constant: z.number().describe('T'),
  p1: z.number(),
  mse: z.number().describe('on test rows; of a latent model, of scores of single draws that knew the status'),
  present_gap: z.number(),
  future_gap: z.number().describe('average future causal effect'),
});

export default defineJob({
  type: 'lcf.fit',
  summary: 'Fit a structural model and a predictor that keeps the future gap small',
  version: 1,
  scope: 'jobs:write',
  params: z.strictObject({
    table: tableSourceSchema,
    attribute: z.strictObject({
      column: name,
      labels: z.array(z.string().max(1000)).min(2).max(32).describe('cells of the attribute column, one per value'),
      values: z
        .array(z.number())
        .min(2)
        .max(32)
        .optional()
        .describe('their numbers in the model; 0, 1, ... by default'),
    }),
    status: name,
    model: z.union([
      z
        .strictObject({
          estimate: z
            .array(
              z.strictObject({
                name,
                parents: z.array(name).max(100).default([]),
                attribute: z.boolean().default(true),
              }),
            )
            .min(1)
            .max(100)
            .describe('what depends on what: every coefficient is fitted by least squares'),
        })
        .describe('linear model of the given shape'),
      z.strictObject({ coefficients: scmSchema }).describe('linear model with the given coefficients'),
      z
        .strictObject({
          latent: z.strictObject({
            children: z
              .array(z.strictObject({ name, family: z.enum(['gaussian', 'poisson']).default('gaussian') }))
              .min(1)
              .max(10),
            covariates: z
              .array(name)
              .max(20)
              .default([])
              .describe(
                'observed columns that act beside the attribute; categories get an indicator per level but the first',
              ),
            burn_in: z.number().int().min(10).max(100_000).default(300),
            samples: z.number().int().min(10).max(100_000).default(500),
            status_variance: z.number().positive().nullable().default(1).describe('null: sampled'),
          }),
        })
        .describe('one latent variable behind the children and the status; it is what people can move'),
    ]),
    eta: z.array(z.number()).min(1).max(20).default([10]).describe('strengths of reaction; the first is published'),
    rho: z
      .array(z.number())
      .min(1)
      .max(20)
      .default([1, 0.5, 0])
      .describe('shares of the gap to remove; the first is published'),
    status_observed: z.boolean().default(false).describe('rows to predict will carry the status'),
    path: z.strictObject({ fair: z.array(name).max(100), frozen: z.boolean().default(false) }).optional(),
    test_share: z.number().min(0).max(0.9).default(0.2),
    seed: seedSchema.default(0),
  }),
  result: z.object({
    table: tableReportSchema,
    model: z.record(z.string(), z.unknown()).describe('the structural model with every coefficient'),
    fit: z
      .record(z.string(), z.number())
      .describe(
        'R squared per variable; or acceptance rates of the sampler and the error of the published predictor on test rows',
      ),
    baselines: z.array(
      z.object({
        method: z.string(),
        mse: z.number(),
        present_gap: z.number(),
        future_gap: z.number().describe('at the first eta'),
      }),
    ),
    points: z.array(lcfPointSchema),
    moments: z.record(z.string(), z.unknown()).nullable().describe('second moments for what-if refits at the edge'),
    predictor: predictorIdSchema,
  }),
  progress: { sweep: 'sampler sweeps', sweeps: 'of so many' },
  produces: ['predictor'],
  models: () => [],
  inputs: (p) => tableInput(p.table),
  estimate(p) {
    const sweeps = 'latent' in p.model ? p.model.latent.burn_in + p.model.latent.samples : 0;
    return { device_seconds: 3 + sweeps * 0.05, memory_bytes: 4e8, artefact_bytes: 1e6 };
  },
  retention_days: 30,
  sensitive_inputs: true,
});
