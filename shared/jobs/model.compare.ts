/** `model.compare`: what changed inside a model between two versions of one shape. */
import { z } from 'zod';
import { corpusSchema } from '../contracts/corpus.ts';
import { reportIdSchema, seedSchema } from '../contracts/manifest.ts';
import { modelReferenceSchema } from '../contracts/model.ts';
import { packingSchema, textAccountSchema, textSplitSchema } from '../contracts/text-use.ts';
import { defineJob } from './contract.ts';
import { floats, tokenWork } from './costs.ts';
import { EXAMPLE } from './example-ids.ts';
import { corpusInput, modelInput } from './references.ts';

const measuredSchema = z.object({
  estimate: z.number(),
  low: z.number().nullable(),
  high: z.number().nullable().describe('of a 95 % interval over documents; null for a single one'),
});
const siteSchema = z.object({
  layer: z.number(),
  site: z.string(),
  relative_error: z.number().describe('squared difference over the square of the first model'),
  cosine: z.number().describe('mean over tokens'),
  norm_ratio: z.number().describe('of the second to the first, mean over tokens'),
});

export default defineJob({
  type: 'model.compare',
  summary: 'Compare a model with another version of it, layer by layer',
  version: 1,
  scope: 'jobs:write',
  example: { model: EXAMPLE.model, other: { local: 'copy-4bit' }, corpus: { planted: {} } },
  params: z.strictObject({
    model: modelReferenceSchema.describe('the dense model'),
    other: modelReferenceSchema.describe('a model of the same shape'),
    corpus: corpusSchema,
    split: textSplitSchema.default('all'),
    packing: packingSchema.default('documents'),
    tokens: z.number().int().min(2).max(10_000_000).default(8192).describe('most that are predicted'),
    context: z.number().int().min(2).max(8192).default(128),
    seed: seedSchema.default(0),
  }),
  result: z.object({
    report: reportIdSchema,
    loss: measuredSchema.describe('of the first model, nats per token'),
    other_loss: measuredSchema,
    kl: measuredSchema.describe('KL(first || second) of the next token, nats'),
    agreement: measuredSchema.describe('share of positions at which both find the same token most likely'),
    layers: z.array(
      z.object({
        layer: z.number(),
        relative_error: z.number().describe('of the stream that leaves the layer'),
        arisen: z.number().describe('the same where the layer reads the stream of the first model'),
        arisen_share: z.number().describe('of the error; the rest was inherited'),
      }),
    ),
    sites: z.array(siteSchema),
    matrices: z.number(),
    tokens: z.number(),
    text: textAccountSchema,
    data_digest: z.string(),
  }),
  progress: { tokens: 'tokens compared', of: 'tokens' },
  produces: ['report'],
  models: (p) => [
    { reference: p.model, pointer: '/model', hooks: [] },
    { reference: p.other, pointer: '/other', hooks: [] },
  ],
  inputs: (p) => [...modelInput(p.model), ...modelInput(p.other, '/other'), ...corpusInput(p.corpus)],
  work(p, model) {
    const context = Math.min(p.context, model.context);
    // Both models, and each layer of the second once more on the stream of the first.
    const passes = 3 * p.tokens;
    return {
      seconds: {
        start: 1,
        weights_loaded: 2 * model.parameters,
        multiply_adds: passes * tokenWork(model, context) + 2 * p.tokens * model.vocabulary * model.width,
        logits: 2 * p.tokens * model.vocabulary,
      },
      memory: {
        process: 1,
        weights: floats(2 * model.parameters),
        values: floats(context * model.layers * model.width),
        streams: floats(p.tokens * model.width),
        logits: floats(context * model.vocabulary),
      },
      artefact_bytes: 200_000,
    };
  },
  retention_days: 30,
});
