/** `activations.extract`: the values at hook points of a model over a corpus, as sharded safetensors. */
import { z } from 'zod';
import { corpusSchema } from '../contracts/corpus.ts';
import { dtypeSchema } from '../contracts/manifest.ts';
import { modelReferenceSchema } from '../contracts/model.ts';
import { packingSchema, textAccountSchema, textSplitSchema, windowSchema } from '../contracts/text-use.ts';
import { PASS_POSITIONS } from '../models/pass-size.ts';
import { defineJob } from './contract.ts';
import { floats, tokenWork } from './costs.ts';
import { EXAMPLE } from './example-ids.ts';
import { corpusInput, distinctHooks, hookSchema, modelInput } from './references.ts';

/** Bytes of the largest shard; the limit of an artefact is a little higher. */
export const SHARD_BYTES = 200e6;

export default defineJob({
  type: 'activations.extract',
  summary: 'Extract activations of a model at hook points',
  version: 1,
  scope: 'jobs:write',
  example: { model: EXAMPLE.model, hooks: ['resid_post.1'], corpus: { planted: {} }, tokens: 4096 },
  params: z.strictObject({
    model: modelReferenceSchema,
    hooks: z.array(hookSchema).min(1).max(64).superRefine(distinctHooks),
    corpus: corpusSchema,
    split: textSplitSchema.default('all'),
    packing: packingSchema.default('documents'),
    tokens: z
      .number()
      .int()
      .min(1)
      .max(1_000_000_000)
      .default(65_536)
      .describe('most rows: tokens that are not special'),
    context: windowSchema(1),
    part: z
      .strictObject({ index: z.number().int().min(0), of: z.number().int().min(1).max(1024) })
      .refine(({ index, of }) => index < of, {
        message: 'parts are numbered from 0 to one below their number',
        path: ['index'],
      })
      .nullable()
      .default(null)
      .describe('the rows of one of so many workers: all parts one after another hold the rows of the whole run'),
    batch: z.number().int().min(1).max(512).default(32),
    dtype: dtypeSchema.extract(['float32', 'float16']).default('float32'),
    shard_tokens: z.number().int().min(1024).max(4_194_304).default(65_536),
  }),
  result: z.object({
    tokens: z.number().describe('rows, of a part its own; beside them in every shard: token_ids, documents, positions'),
    text: textAccountSchema,
    shards: z.number(),
    width: z.number(),
    data_digest: z.string(),
    hooks: z.record(
      z.string(),
      z.object({
        mean_norm: z.number().describe('mean Euclidean norm of a token'),
        mean_square_norm: z.number(),
        mean_vector_norm: z.number().describe('norm of the mean over tokens'),
      }),
    ),
  }),
  progress: { tokens: 'tokens so far', tokens_per_s: '1/s', seconds_left: 's' },
  produces: ['report'],
  models: (p) => [
    { reference: p.model, pointer: '/model', hooks: p.hooks.map((hook, i) => ({ hook, pointer: `/hooks/${i}` })) },
  ],
  inputs: (p) => [...modelInput(p.model), ...corpusInput(p.corpus)],
  work(p, model) {
    const context = Math.min(p.context, model.context);
    const deepest = p.hooks.reduce((a, b) => (tokenWork(model, context, a) > tokenWork(model, context, b) ? a : b));
    const stored = p.hooks.length * model.width;
    const pass = Math.min(p.tokens, p.batch * context, Math.max(context, PASS_POSITIONS));
    const bytes = p.dtype === 'float16' ? 2 : 4;
    return {
      seconds: {
        start: 1,
        weights_loaded: model.parameters,
        multiply_adds: p.tokens * tokenWork(model, context, deepest),
        values_stored: p.tokens * stored,
      },
      memory: {
        process: 1,
        weights: floats(model.parameters),
        taps: floats(pass * stored),
        values: floats(pass * model.width),
        shard: Math.min(SHARD_BYTES, bytes * stored * Math.min(p.tokens, p.shard_tokens)),
      },
      artefact_bytes: p.tokens * stored * bytes,
    };
  },
  retention_days: 30,
});
