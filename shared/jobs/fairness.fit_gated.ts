/** `fairness.fit_gated`: a gate and decoupled heads learned without demographics, guarded, audited with them (after arXiv:2509.24077). */
import { z } from 'zod';
import { columnNameSchema, distinctNamesSchema } from '../contracts/column-name.ts';
import { predictorIdSchema, seedSchema } from '../contracts/manifest.ts';
import { featuresSchema, tableInput, tableReportSchema, tableSourceSchema } from '../contracts/table.ts';
import { defineJob } from './contract.ts';
import { EXAMPLE } from './example-ids.ts';

const name = columnNameSchema;
const gatedMethodSchema = z.object({
  method: z.string(),
  needs_demographics: z.boolean(),
  accuracy: z.number(),
  auc: z.number().nullable(),
  worst_demographic_gap: z
    .number()
    .nullable()
    .describe('least rationality gap (pooled error minus own) of a demographic group'),
  worst_group_accuracy: z.number().nullable(),
  disparity: z.number().nullable().describe('largest minus smallest accuracy of demographic groups'),
  reason: z.string().nullable().describe('why the demographic figures are null'),
});

export default defineJob({
  type: 'fairness.fit_gated',
  summary: 'Learn groups and a classifier for each, with no group worse off than under the pooled classifier',
  version: 1,
  scope: 'jobs:write',
  example: { table: { artefact: EXAMPLE.artefact }, label: 'approved', features: { columns: ['age', 'income'] } },
  params: z
    .strictObject({
      table: tableSourceSchema,
      label: name,
      positive: z
        .string()
        .max(1000)
        .nullable()
        .default(null)
        .describe('cell that counts as 1; null: the label is 0 or 1'),
      features: featuresSchema,
      demographics: distinctNamesSchema
        .max(8)
        .default([])
        .describe('columns for the audit and for baselines; never features unless listed there'),
      groups: z
        .array(z.number().int().min(1).max(32))
        .min(1)
        .max(10)
        .default([2, 3, 4])
        .describe('candidates for K; 1 is always among them'),
      restarts: z.number().int().min(1).max(100).default(6),
      steps: z.number().int().min(10).max(100_000).default(400),
      batch: z.number().int().min(16).max(65_536).default(2048),
      l2: z.number().positive().max(100).default(1e-4),
      split: z
        .tuple([z.number().positive(), z.number().positive(), z.number().positive(), z.number().positive()])
        .default([0.5, 0.1, 0.1, 0.3])
        .describe('training, validation (choice of K), guard, test: disjoint, so that no gap is optimistic'),
      guard: z
        .strictObject({
          level: z.number().positive().max(1).default(0.05),
          tolerance: z.number().min(0).max(1).default(0),
          minimum: z.number().int().min(1).default(20),
          merge: z.boolean().default(false),
        })
        .default({ level: 0.05, tolerance: 0, minimum: 20, merge: false }),
      baselines: z.boolean().default(true),
      minimum_group: z.number().int().min(2).default(30),
      seed: seedSchema.default(0),
    })
    .superRefine(({ features, label }, context) => {
      const at = features.columns.indexOf(label);
      if (at >= 0) {
        context.addIssue({
          code: 'custom',
          path: ['features', 'columns', at],
          message: `${label} is the label; a predictor reads other columns`,
        });
      }
    }),
  result: z.object({
    table: tableReportSchema,
    inputs: z.array(z.unknown()),
    candidates: z.array(z.object({ groups: z.number(), validation_loss: z.number() })),
    groups: z.number().int(),
    shares: z.array(z.number()),
    guard: z.array(
      z.object({
        group: z.number(),
        count: z.number(),
        own: z.number().nullable().describe('error on the guard rows; null for a group without any'),
        pooled: z.number().nullable(),
        worst_p: z.number(),
        action: z.enum(['kept', 'pooled', 'merged']),
        serving: z.number(),
      }),
    ),
    excluded: z
      .array(z.object({ attribute: z.string(), level: z.string(), count: z.number() }))
      .describe('demographic groups of too few test rows: counted in no gap and no baseline comparison'),
    corrected: z.boolean().describe('false: every group is served by the pooled classifier'),
    methods: z.array(gatedMethodSchema),
    preferences: z
      .record(z.string(), z.unknown())
      .describe('rationality and envy of learned groups, gaps of demographic groups, on test rows'),
    parts_file: z
      .string()
      .nullable()
      .describe(
        'where `table`, `inputs`, `excluded` and `preferences` do not all fit into a result: the artefact of JSON that holds them whole; here stand the first entries of every list',
      ),
    generalisation_bound: z.number().describe('uniform deviation of risks at 95 % for this gate and these heads'),
    predictor: predictorIdSchema,
  }),
  progress: { groups: 'candidate K', validation_loss: 'nats per row' },
  produces: ['predictor'],
  models: () => [],
  inputs: (p) => tableInput(p.table),
  estimate(p) {
    const groups = p.groups.reduce((sum, k) => sum + k, 0);
    return {
      device_seconds: 5 + 4e-9 * p.restarts * p.steps * p.batch * p.features.columns.length * groups * 4,
      memory_bytes: 4e8,
      artefact_bytes: 1e6,
    };
  },
  retention_days: 30,
  sensitive_inputs: true,
});
