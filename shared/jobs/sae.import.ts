/** `sae.import`: a sparse autoencoder of another library, as two uploaded files, published like one that was trained here. */
import { z } from 'zod';
import { randomIdSchema } from '../contracts/manifest.ts';
import { modelReferenceSchema } from '../contracts/model.ts';
import { defineJob } from './contract.ts';
import { EXAMPLE } from './example-ids.ts';
import { hookSchema, modelInput } from './references.ts';

export default defineJob({
  type: 'sae.import',
  summary: 'Publish a sparse autoencoder from uploaded files',
  version: 1,
  scope: 'jobs:write',
  example: { weights: EXAMPLE.artefact, model: EXAMPLE.model, hook: 'resid_post.1' },
  params: z.strictObject({
    weights: randomIdSchema('art').describe(
      'safetensors or npz, as SAELens, sparsify, dictionary_learning, OpenAI or Gemma Scope write them',
    ),
    config: randomIdSchema('art').nullable().default(null).describe('the cfg.json or config.json beside them'),
    model: modelReferenceSchema.describe('whose activations it was trained on'),
    hook: hookSchema,
    input_scale: z
      .number()
      .positive()
      .default(1)
      .describe('what activations were multiplied with before they were encoded'),
    note: z.string().max(1000).default(''),
  }),
  result: z.object({
    sae: z.string(),
    variant: z.string(),
    inputs: z.number(),
    width: z.number(),
    k: z.number().nullable(),
  }),
  progress: {},
  produces: ['sae'],
  models: (p) => [{ reference: p.model, pointer: '/model', hooks: [{ hook: p.hook, pointer: '/hook' }] }],
  inputs: (p) => [
    ...modelInput(p.model),
    { id: p.weights, pointer: '/weights' },
    ...(p.config ? [{ id: p.config, pointer: '/config' }] : []),
  ],
  estimate: () => ({ device_seconds: 10, memory_bytes: 2e9, artefact_bytes: 300e6 }),
  retention_days: 30,
});
