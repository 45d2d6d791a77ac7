/** What block-wise sparse training takes and reports: tasks, networks, methods, the figures of one point, the frontier. */
import { z } from 'zod';
import { columnNameSchema } from './column-name.ts';
import { corpusSchema } from './corpus.ts';
import { randomIdSchema, seedSchema } from './manifest.ts';
import { modelReferenceSchema } from './model.ts';
import { featuresSchema, tableSourceSchema } from './table.ts';

export const SPARSE_METHODS = [
  'dense',
  'kpd',
  'kpd_unpenalised',
  'size_search',
  'group_lasso',
  'elastic_l1',
  'elastic_l2',
  'rigl',
  'pruning',
] as const;

export const tileSchema = z
  .tuple([z.number().int().min(1).max(4096), z.number().int().min(1).max(4096)])
  .describe('height (input side) and width (output side)');

export const sparseTaskSchema = z.discriminatedUnion('kind', [
  z
    .strictObject({
      kind: z.literal('table'),
      table: tableSourceSchema,
      label: columnNameSchema.describe('its different cells are the classes'),
      features: featuresSchema,
    })
    .describe('rows of a table into classes'),
  z
    .strictObject({
      kind: z.literal('images'),
      images: randomIdSchema('art').describe(
        'an idx file of bytes, plain or gzip, or a safetensors file with the tensors images and labels',
      ),
      labels: randomIdSchema('art').nullable().default(null).describe('an idx file; null: in the safetensors file'),
    })
    .describe('images into classes'),
  z
    .strictObject({
      kind: z.literal('lm'),
      model: modelReferenceSchema.describe('fine-tuned, not trained anew'),
      corpus: corpusSchema,
      layers: z
        .array(z.string().min(1).max(200))
        .min(1)
        .max(100)
        .describe('weights of linear layers to be made sparse, by name; * stands for any characters'),
      context: z.number().int().min(8).max(4096).default(128).describe('tokens that a sequence predicts'),
    })
    .describe('next tokens of text'),
]);

export const networkSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('linear') }),
  z.strictObject({ kind: z.literal('mlp'), widths: z.array(z.number().int().min(1).max(8192)).min(1).max(8) }),
  z.strictObject({ kind: z.literal('lenet') }).describe('LeNet-5 with rectifiers; images'),
  z
    .strictObject({
      kind: z.literal('vit'),
      patch: z.number().int().min(1).max(64),
      width: z.number().int().min(8).max(1024),
      depth: z.number().int().min(1).max(24),
      heads: z.number().int().min(1).max(32),
    })
    .describe('a vision transformer; images'),
]);

const scoreSchema = z.object({
  loss: z.number().describe('mean cross-entropy, nats'),
  accuracy: z.number().nullable().describe('share of right classes; null for text'),
});
export const sparsePointSchema = z.object({
  method: z.enum(SPARSE_METHODS),
  tile: tileSchema,
  lambda: z.number().nullable(),
  sparsity: z.number().nullable().describe('share of zero tiles that was asked for'),
  seed: seedSchema,
});
const macsSchema = z.object({
  forward: z.number().describe('multiply-adds of the forward pass in training, per row'),
  training: z.number().describe('of a training step: forward, backward and what is computed again, per row'),
  recomputed: z.number(),
  inference: z.number().describe('with the tiles that are left'),
  dense: z.number().describe('of the dense model, forward'),
  profiler: z.number().describe('what a profiler counts that does not know the layers'),
});
export const pointFiguresSchema = z.object({
  point: sparsePointSchema,
  lambda_share: z.number().nullable().describe('lambda in units of the critical penalty'),
  validation: scoreSchema,
  test: scoreSchema,
  layers: z.array(z.object({ name: z.string(), tiles: z.number(), zero: z.number().describe('exactly zero') })),
  zero_share: z.number(),
  signed_test_share: z
    .number()
    .describe(
      'share of weights below 1e-4 without taking magnitudes, as some published counters do: about a half anyway',
    ),
  parameters: z.number().describe('trained numbers of the whole model'),
  macs: macsSchema,
  seconds: z.number().describe('of training alone'),
  stopped: z
    .object({ step: z.number(), layer: z.string().nullable() })
    .nullable()
    .describe(
      'the step in which this layer would have lost its last tile, or null where the loss stopped being a number',
    ),
  curve: z.array(
    z.object({
      step: z.number(),
      loss: z.number(),
      zero: z.record(z.string(), z.number()),
      validation: scoreSchema.nullable(),
    }),
  ),
  surviving_tiles: z
    .record(z.string(), z.array(tileSchema))
    .nullable()
    .describe('of a search for the tile size: sizes that each layer still has'),
});

const spreadSchema = z.object({
  mean: z.number(),
  minimum: z.number(),
  maximum: z.number(),
  deviation: z.number().nullable(),
  n: z.number(),
});
export const frontierSchema = z.array(
  z.object({
    method: z.enum(SPARSE_METHODS),
    tile: tileSchema,
    lambda: z.number().nullable(),
    sparsity: z.number().nullable(),
    score: spreadSchema.describe('accuracy on the test rows, or perplexity'),
    zero_share: spreadSchema,
    parameters: z.number(),
    training_macs: z.number(),
    inference_macs: spreadSchema,
    seconds: spreadSchema,
  }),
);

export const layerTimesSchema = z.array(
  z.object({
    layer: z.string(),
    way: z
      .enum(['gathered', 'transposed', 'strips'])
      .describe(
        'the fastest here; gathered: inputs of live tiles are copied together and multiplied; transposed: the same with the rows on the wide side; strips: a kernel that copies none',
      ),
    rows: z.number(),
    live_share: z.number(),
    dense_ms: z.number(),
    live_tiles_ms: z.number(),
  }),
);
