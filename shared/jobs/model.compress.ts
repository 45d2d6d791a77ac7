/** `model.compress`: a model pruned or rounded block by block, on calibration text, with what each matrix lost. */
import { z } from 'zod';
import { corpusSchema } from '../contracts/corpus.ts';
import { modelIdSchema, reportIdSchema, seedSchema } from '../contracts/manifest.ts';
import { modelReferenceSchema } from '../contracts/model.ts';
import { textAccountSchema } from '../contracts/text-use.ts';
import { defineJob } from './contract.ts';
import { bodyWeights, floats, type ModelSizes, tokenWork } from './costs.ts';
import { EXAMPLE } from './example-ids.ts';
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

/** Inputs of the widest matrix of a block, as of four attention matrices of the stream's width and three of an MLP. */
const widestInput = (model: ModelSizes): number =>
  Math.max(model.width, (bodyWeights(model) / model.layers / model.width - 4 * model.width) / 3);

export default defineJob({
  type: 'model.compress',
  summary: 'Prune or quantise a language model',
  version: 1,
  scope: 'jobs:write',
  example: { model: EXAMPLE.model, corpus: { planted: {} }, method: 'wanda', share: 0.5 },
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
    text: textAccountSchema.describe('of the side that calibrates'),
    held_out_text: textAccountSchema.describe('of the side that errors are measured on'),
    notices: z.array(z.string()),
    data_digest: z.string(),
  }),
  progress: { blocks: 'blocks done', of: 'blocks of the model', tokens_per_s: '1/s', seconds_left: 's' },
  produces: ['model', 'report'],
  models: (p) => [{ reference: p.model, pointer: '/model', hooks: [] }],
  inputs: (p) => [...modelInput(p.model), ...corpusInput(p.corpus)],
  work(p, model) {
    const context = Math.min(p.context, model.context);
    const body = bodyWeights(model);
    const { tokens, held_out_tokens: held } = p;
    const rounded = p.bits !== null && p.bits < 16;
    const solved = p.method === 'sparsegpt' || p.method === 'gptq';
    // Each block runs for its statistics and again to carry the stream on; held-out text runs dense and compressed.
    const runs = 2 * tokens + 6 * held;
    return {
      seconds: {
        start: 1,
        weights_loaded: model.parameters,
        multiply_adds: runs * tokenWork(model, context) + 2 * held * model.vocabulary * model.width,
        gram_multiply_adds: (held + (solved || p.method === 'awq' ? tokens : 0)) * body,
        solve_multiply_adds: solved ? body * model.width : 0,
        search_multiply_adds: p.method === 'awq' ? body * model.width : 0,
      },
      memory: {
        process: 1,
        weights: floats(model.parameters),
        block: floats(body / model.layers),
        hessian: solved ? 8 * widestInput(model) ** 2 : 0,
        streams: floats((tokens + 2 * held) * model.width),
        logits: floats(8 * context * model.vocabulary),
      },
      artefact_bytes: floats(model.parameters) - (rounded ? body * (4 - (p.bits ?? 16) / 8) : 0) + 200_000,
    };
  },
  retention_days: 30,
});
