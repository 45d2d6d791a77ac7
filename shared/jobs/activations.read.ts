/** `activations.read`: what a model holds of a few prompts: values at hook points, codes, logit lens, attention patterns. */
import { z } from 'zod';
import { saeIdSchema } from '../contracts/manifest.ts';
import { modelReferenceSchema } from '../contracts/model.ts';
import { alternativeSchema } from '../contracts/token-piece.ts';
import { defineJob } from './contract.ts';
import { ASSUMED_MODEL, floats, textTokens, tokenWork } from './costs.ts';
import { EXAMPLE } from './example-ids.ts';
import { distinctHooks, hookSchema, modelInput } from './references.ts';

const MOST_PROMPTS = 16;
/** Of two cores, on the safe side: a request is counted by what it took. */
const [WEIGHTS_PER_S, MULTIPLY_ADDS_PER_S, PROCESS_BYTES] = [5e8, 1e10, 3e8];
const place = { document: z.number().describe('place of the prompt'), position: z.number(), token: z.number() };

export const ACTIVATIONS_FILE = 'activations.safetensors';
/** Name of the tensor [heads, queries, keys] that holds the attention patterns of a layer over a prompt. */
export const patternTensor = (layer: number, document: number): string => `attn_pattern.${layer}/${document}`;

export default defineJob({
  type: 'activations.read',
  summary: 'Read the activations of a few prompts',
  version: 1,
  scope: 'jobs:write',
  example: { model: EXAMPLE.model, prompts: ['the weather is'], hooks: ['resid_post.1'] },
  params: z.strictObject({
    model: modelReferenceSchema,
    prompts: z.array(z.string().min(1).max(20_000)).min(1).max(MOST_PROMPTS),
    hooks: z.array(hookSchema).max(16).superRefine(distinctHooks).default([]),
    positions: z
      .union([z.enum(['all', 'last']), z.array(z.number().int().min(-100_000).max(100_000)).min(1).max(1000)])
      .default('all')
      .describe('which rows are told; numbers count the tokens of each prompt from 0, negative ones from its end'),
    sae: saeIdSchema.nullable().default(null).describe('tells its strongest latents at each token'),
    strongest: z.number().int().min(1).max(100).default(16).describe('latents of a token'),
    allow_mismatch: z.boolean().default(false).describe('apply the autoencoder to another model or hook than its own'),
    logit_lens: z
      .strictObject({ top: z.number().int().min(1).max(20).default(5) })
      .nullable()
      .default(null)
      .describe('what the model would say after each layer: the likeliest next tokens'),
    patterns: z
      .array(z.number().int().min(0).max(1000))
      .max(16)
      .default([])
      .describe('layers whose attention patterns are told'),
  }),
  result: z.object({
    rows: z.array(z.object({ ...place, text: z.string() })).describe('in the order of the tensors in the file'),
    hooks: z.record(z.string(), z.number()).describe('width of each; values [rows, width] in the file'),
    codes: z
      .array(
        z.object({
          ...place,
          codes: z.array(z.object({ latent: z.number(), code: z.number() })).describe('the largest magnitude first'),
          error: z.number().describe('|x - x_hat|^2 / |x|^2'),
        }),
      )
      .nullable(),
    lens: z
      .array(z.object({ ...place, layer: z.number(), likeliest: z.array(alternativeSchema) }))
      .nullable()
      .describe('of the stream after each layer through the last norm and the unembedding'),
    patterns: z.array(z.object({ document: z.number(), layer: z.number(), tensor: z.string() })),
    data_digest: z.string(),
    mismatch: z.array(z.string()),
  }),
  progress: {},
  produces: [],
  models: (p) => [
    { reference: p.model, pointer: '/model', hooks: p.hooks.map((hook, i) => ({ hook, pointer: `/hooks/${i}` })) },
  ],
  inputs: (p) => [...modelInput(p.model), ...(p.sae ? [{ id: p.sae, pointer: '/sae' }] : [])],
  estimate(p, described) {
    const model = described?.task === 'language' ? described : ASSUMED_MODEL;
    const lengths = p.prompts.map((prompt) => Math.min(model.context, textTokens(prompt.length, model)));
    const tokens = lengths.reduce((sum, length) => sum + length, 0);
    const longest = Math.max(...lengths);
    const lens = p.logit_lens ? model.vocabulary * model.width : 0;
    const passes = 1 + (p.logit_lens ? model.layers : 0);
    const multiplyAdds = passes * tokens * (tokenWork(model, longest) + lens);
    return {
      device_seconds: 1 + model.parameters / WEIGHTS_PER_S + multiplyAdds / MULTIPLY_ADDS_PER_S,
      memory_bytes:
        PROCESS_BYTES +
        floats(model.parameters + longest * model.vocabulary + tokens * model.width * (p.hooks.length + model.layers)),
      artefact_bytes: floats(tokens * model.width * p.hooks.length),
    };
  },
  interactive: {
    largest: { prompt_characters: 64_000, lens_prompts: 16 },
    of: (p) => ({
      prompt_characters: p.prompts.reduce((sum, prompt) => sum + prompt.length, 0),
      lens_prompts: p.logit_lens ? p.prompts.length : 0,
    }),
  },
  retention_days: 7,
});
