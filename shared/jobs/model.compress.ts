/** `model.compress`: a model pruned or rounded block by block, on calibration text, with what each matrix lost. */
import { z } from 'zod';
import { corpusSchema } from '../contracts/corpus.ts';
import { modelIdSchema, reportIdSchema, seedSchema } from '../contracts/manifest.ts';
import { modelReferenceSchema } from '../contracts/model.ts';
import { defineJob } from './contract.ts';
import { corpusInput, modelInput } from './references.ts';

const shareSchema = z.number().min(0).lt(1);
const matrixSchema = z.object({
  name: z.string(),
  sparsity: z.number().describe('share of entries that are zero'),
  bits: z.number().describe('of a weight as it is stored, its scales included'),
  relative_error: z.number().describe('squared error of its outputs over their square, on held-out text'),
  bytes: z.number(),
  dense_bytes: z.number(),
  compressed: z.boolean().describe('false where its Hessian could not be factorised: it is stored as it was'),
});

export default defineJob({
  type: 'model.compress',
  summary: 'Prune or quantise a language model',
  version: 1,
  scope: 'jobs:write',
  params: z.strictObject({
    model: modelReferenceSchema,
    corpus: corpusSchema.describe('calibration text'),
    method: z
      .enum(['magnitude', 'wanda', 'n_of_m', 'sparsegpt', 'rtn', 'gptq', 'awq'])
      .describe('magnitude, wanda, n_of_m and sparsegpt set weights to zero; rtn, gptq and awq round them'),
    share: shareSchema.nullable().default(null).describe('of the weights of each matrix that become zero'),
    shares: z.array(shareSchema).max(1024).nullable().default(null).describe('a share for each layer, in its place'),
    pattern: z
      .strictObject({ n: z.number().int().min(0).max(63), m: z.number().int().min(2).max(64) })
      .nullable()
      .default(null)
      .describe(
        'n of every m inputs become zero: for n_of_m (2 of 4 where null), and for sparsegpt in place of a share',
      ),
    bits: z.number().int().min(2).max(16).nullable().default(null).describe('of a rounded weight; 16 changes nothing'),
    group: z.number().int().min(8).max(65_536).nullable().default(128).describe('inputs that share a scale; null: all'),
    symmetric: z.boolean().default(true).describe('grids around zero; false: with zero points'),
    linears: z
      .array(z.string().min(1).max(200))
      .min(1)
      .max(100)
      .default(['*'])
      .describe('weights of linear layers, by name; * stands for any characters. Embeddings and head stay as they are'),
    tokens: z.number().int().min(2).max(10_000_000).default(32_768).describe('of calibration text'),
    held_out_tokens: z.number().int().min(2).max(1_000_000).default(4096).describe('on which errors are measured'),
    context: z.number().int().min(2).max(8192).default(256).describe('tokens of a sequence'),
    seed: seedSchema.default(0),
  }),
  result: z.object({
    model: modelIdSchema,
    report: reportIdSchema,
    matrices: z.number(),
    sparsity: z.number().describe('of the compressed matrices together'),
    bits: z.number().describe('of their weights together, as they are stored'),
    bytes: z.number().describe('of the weight files'),
    dense_bytes: z.number(),
    loss: z.number().describe('on held-out text, nats per token'),
    dense_loss: z.number(),
    worst: matrixSchema.nullable().describe('the matrix with the largest relative error'),
    tokens: z.number().describe('of calibration'),
    notices: z.array(z.string()),
    data_digest: z.string(),
  }),
  progress: { blocks: 'blocks done', of: 'blocks of the model', tokens_per_s: '1/s', seconds_left: 's' },
  produces: ['model', 'report'],
  models: (p) => [{ reference: p.model, pointer: '/model', hooks: [] }],
  inputs: (p) => [...modelInput(p.model), ...corpusInput(p.corpus)],
  estimate: (p) => ({ device_seconds: 10 + p.tokens / 500, memory_bytes: 2e9, artefact_bytes: 1e8 }),
  retention_days: 30,
});
