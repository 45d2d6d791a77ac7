/** `fairness.edit_layer`: a regressor made fair by reshaping the singular values of one layer (arXiv:2504.03093). */
import { z } from 'zod';
import { columnNameSchema } from '../contracts/column-name.ts';
import { predictorIdSchema, randomIdSchema, seedSchema } from '../contracts/manifest.ts';
import { featuresSchema, tableInput, tableReportSchema, tableSourceSchema } from '../contracts/table.ts';
import { defineJob } from './contract.ts';
import { EXAMPLE } from './example-ids.ts';

const gap = z.number().nullable();
const metrics = z.object({
  mse: z.number(),
  mae: z.number(),
  ks: gap,
  w1: gap,
  mean_gap: gap,
  variance_gap: gap,
  reason: z.string().nullable().describe('why a gap is null'),
});
const fairPointSchema = z.object({
  method: z.string(),
  c1: z.number().nullable(),
  c2: z.number().nullable(),
  refit: z.string().nullable(),
  validation: metrics,
  test: metrics,
});

export default defineJob({
  type: 'fairness.edit_layer',
  summary: 'Train or import a regressor and make it fair by editing one layer',
  version: 1,
  scope: 'jobs:write',
  example: {
    table: { artefact: EXAMPLE.artefact },
    target: 'grade',
    group: 'sex',
    features: { columns: ['age', 'hours'] },
  },
  params: z
    .strictObject({
      table: tableSourceSchema,
      target: columnNameSchema,
      group: columnNameSchema.describe('column of group labels: used to fit, never by the predictor'),
      features: featuresSchema,
      network: z
        .union([
          z.strictObject({
            hidden: z.array(z.number().int().min(1).max(1024)).min(1).max(8).default([256, 256, 256, 256]),
            epochs: z.number().int().min(1).max(10_000).default(20),
            batch: z.number().int().min(1).max(65_536).default(128),
            learning_rate: z.number().positive().max(1).default(1e-3),
            decay: z.number().positive().max(1).default(0.8).describe('factor of the rate after every epoch'),
          }),
          z
            .strictObject({ predictor: predictorIdSchema })
            .describe('a registered network predictor; its inputs replace `features`'),
          z
            .strictObject({ safetensors: randomIdSchema('art') })
            .describe('weights NAME.weight [outputs, inputs] and NAME.bias in order of their names, ReLU in between'),
          z
            .strictObject({ onnx: randomIdSchema('art') })
            .describe('an ONNX file that is a chain of Gemm or MatMul, Add, Relu, Tanh and Sigmoid'),
        ])
        .default({ hidden: [256, 256, 256, 256], epochs: 20, batch: 128, learning_rate: 1e-3, decay: 0.8 }),
      layer: z
        .number()
        .int()
        .min(0)
        .max(15)
        .nullable()
        .default(null)
        .describe('the layer to edit, from 0; null: the last hidden one'),
      c1: z.array(z.number().min(1).max(1e9)).min(1).max(20).default([1, 1.5, 2, 5, 10, 15, 50]),
      c2: z.array(z.number().min(1).max(1e9)).min(1).max(20).default([1, 5, 20, 50, 150]),
      covariance_at: z.enum(['input', 'pre_activation']).default('input'),
      refit: z
        .enum(['adam', 'least_squares', 'none'])
        .default('adam')
        .describe(
          'of the output layer: 50 epochs of Adam as published, or to convergence, which wins much of the gap back',
        ),
      split: z
        .tuple([z.number().positive(), z.number().positive(), z.number().positive()])
        .default([0.7, 0.15, 0.15])
        .describe('shares of training, validation and test rows'),
      error_allowance: z
        .number()
        .min(0)
        .max(10)
        .default(0.15)
        .describe('the published point is the fairest on validation whose error grows by no more than this share'),
      seed: seedSchema.default(0),
    })
    .superRefine(({ features, target, group, network }, context) => {
      if ('predictor' in network) {
        return;
      }
      // The predictor would read what it is to predict, or the group that it promises not to need.
      features.columns.forEach((name, k) => {
        if (name === target || name === group) {
          context.addIssue({
            code: 'custom',
            path: ['features', 'columns', k],
            message: `${name} is the ${name === target ? 'target' : 'group'}; a predictor reads other columns`,
          });
        }
      });
    }),
  result: z.object({
    table: tableReportSchema,
    groups: z.array(z.object({ level: z.string(), count: z.number() })),
    excluded: z
      .array(z.object({ level: z.string(), count: z.number() }))
      .describe('groups of too few rows: their rows are not used'),
    inputs: z.array(z.unknown()).describe('how each column became features'),
    parts_file: z
      .string()
      .nullable()
      .describe(
        'where `table`, `groups`, `excluded` and `inputs` do not all fit into a result: the artefact of JSON that holds them whole; here stand the first entries of every list',
      ),
    target_variance: z.number().describe('of the test rows: the error of predicting their mean'),
    points: z
      .array(fairPointSchema)
      .describe(
        'the network as it is, the scalar head, every setting of the sweep, then baselines: barycentre, mean, ridge',
      ),
    frontier: z
      .array(z.number().int())
      .describe('positions in `points` that nothing dominates on validation (error, KS)'),
    chosen: z.number().int(),
    corrected: z.boolean().describe('false: the published predictor is the network as it was'),
    warnings: z.array(
      z.object({ code: z.enum(['worse_than_mean', 'worse_than_ridge', 'not_corrected']), detail: z.string() }),
    ),
    ks_noise_floor: z.number(),
    predictor: predictorIdSchema,
  }),
  progress: { loss: 'mean squared error', epoch: 'epochs', setting: 'settings of the sweep' },
  produces: ['predictor'],
  models: () => [],
  inputs: (p) => [
    ...tableInput(p.table),
    ...('predictor' in p.network ? [{ id: p.network.predictor, pointer: '/network/predictor' }] : []),
    ...('safetensors' in p.network ? [{ id: p.network.safetensors, pointer: '/network/safetensors' }] : []),
    ...('onnx' in p.network ? [{ id: p.network.onnx, pointer: '/network/onnx' }] : []),
  ],
  estimate(p) {
    const hidden = 'hidden' in p.network ? p.network.hidden : [256, 256];
    const width = Math.max(...hidden);
    const epochs = 'epochs' in p.network ? p.network.epochs : 0;
    // The table is not read yet: 20,000 rows stand for those this job is used on.
    const rows = 20_000;
    const weights = hidden.reduce((sum, w, l) => sum + w * (hidden[l - 1] ?? 30), 0);
    const settings = p.c1.length * p.c2.length;
    return {
      device_seconds:
        3 + (6 * rows * epochs * weights) / 2e10 + settings * (rows * width ** 2 * 1.5e-9 + 1e-8 * width ** 3),
      memory_bytes: 4e8 + 24 * rows * width,
      artefact_bytes: 24 * weights,
    };
  },
  retention_days: 30,
  sensitive_inputs: true,
});
