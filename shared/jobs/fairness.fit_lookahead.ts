/** `fairness.fit_lookahead`: a predictor that is fair in the future it causes (arXiv:2412.01065), with its structural model. */
import { z } from 'zod';
import { predictorIdSchema, seedSchema } from '../contracts/manifest.ts';
import { SextantError } from '../contracts/problem.ts';
import { tableInput, tableReportSchema, tableSourceSchema } from '../contracts/table.ts';
import { lookaheadFitFields } from '../fairness/lookahead/fit.ts';
import { checkLookaheadFit } from '../fairness/lookahead/fit-check.ts';
import { defineJob } from './contract.ts';
import { EXAMPLE } from './example-ids.ts';

/** The path of a JSON pointer. */
const pathOf = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));

const lookaheadPointSchema = z.object({
  eta: z.number(),
  rho: z.number(),
  constant: z.number().describe('T'),
  p1: z.number(),
  mse: z.number().describe('on test rows'),
  present_gap: z.number(),
  future_gap: z.number().describe('average future causal effect'),
  improvement: z.number().nullable().describe('1 - future gap / present gap; null where there is no gap'),
  score_gap: z
    .number()
    .describe('mean |difference of the score| to the counterfactual worlds: what fairness in the future costs'),
});

export default defineJob({
  type: 'fairness.fit_lookahead',
  summary: 'Fit a structural model and a predictor that keeps the future gap small',
  version: 1,
  scope: 'jobs:write',
  example: {
    table: { artefact: EXAMPLE.artefact },
    attribute: { column: 'sex', labels: ['f', 'm'] },
    status: 'score',
    model: { estimate: [{ name: 'hours' }, { name: 'score', parents: ['hours'] }] },
  },
  params: z
    .strictObject({
      table: tableSourceSchema,
      ...lookaheadFitFields,
      test_share: z.number().min(0).max(0.9).default(0.2),
      seed: seedSchema.default(0),
    })
    .superRefine(function check(params, context) {
      // What does not even fit the schema has been said.
      if (context.issues.length > 0) {
        return;
      }
      try {
        checkLookaheadFit(params);
      } catch (error) {
        if (!(error instanceof SextantError && error.errors)) {
          throw error;
        }
        for (const { pointer, code, detail } of error.errors) {
          context.addIssue({ code: 'custom', path: pathOf(pointer), message: detail, params: { code } });
        }
      }
    }),
  result: z.object({
    table: tableReportSchema,
    model: z.record(z.string(), z.unknown()).describe('the structural model with every coefficient'),
    parts_file: z
      .string()
      .nullable()
      .describe(
        'where `table` and `model` do not all fit into a result: the artefact of JSON that holds them whole; here stand the first entries of every list',
      ),
    fit: z
      .record(z.string(), z.number())
      .describe(
        'R squared per variable; or of the sampler: acceptance rates, the worst split R-hat and the least effective sample size over all parameters, and the error of the published predictor on test rows',
      ),
    baselines: z.array(
      z.object({
        method: z.string(),
        mse: z.number(),
        present_gap: z.number(),
        future_gap: z.number().describe('at the first eta'),
      }),
    ),
    points: z.array(lookaheadPointSchema),
    corrected: z
      .boolean()
      .describe('false: the published score has the future gap of the present, nothing was removed'),
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
