/** `sae.encode`: which latents of an SAE fire on texts, token by token. */
import { z } from 'zod';
import { saeIdSchema } from '../contracts/manifest.ts';
import { modelReferenceSchema } from '../contracts/model.ts';
import { packingSchema, textAccountSchema, windowSchema } from '../contracts/text-use.ts';
import { defineJob } from './contract.ts';
import { floats, saeWeights, textTokens, tokenWork } from './costs.ts';
import { modelInput } from './references.ts';

export default defineJob({
  type: 'sae.encode',
  summary: 'Encode texts with a sparse autoencoder',
  version: 1,
  scope: 'jobs:write',
  params: z.strictObject({
    model: modelReferenceSchema,
    sae: saeIdSchema,
    texts: z.array(z.string().min(1).max(20_000)).min(1).max(256),
    packing: packingSchema.default('documents'),
    context: windowSchema(1),
    strongest: z.number().int().min(1).max(1024).default(32).describe('codes per token, by magnitude, in the result'),
    allow_mismatch: z.boolean().default(false),
  }),
  result: z.object({
    texts: z.array(
      z.object({
        document: z.number().describe('number of the text, from 0'),
        tokens: z.array(
          z.object({
            id: z.number(),
            position: z.number().describe('among the tokens of its text, special ones included, from 0'),
            text: z.string(),
            codes: z
              .array(z.object({ latent: z.number(), code: z.number() }))
              .describe('with their signs, the largest magnitude first'),
            error: z.number().describe('|x - x_hat|^2 / |x|^2'),
          }),
        ),
      }),
    ),
    text: textAccountSchema,
    mismatch: z.array(z.string()).describe('what the SAE was not trained for: model, hook'),
  }),
  progress: { texts: 'texts done' },
  produces: [],
  models: (p) => [{ reference: p.model, pointer: '/model', hooks: [] }],
  inputs: (p) => [...modelInput(p.model), { id: p.sae, pointer: '/sae' }],
  work(p, model, published) {
    const lengths = p.texts.map((text) => textTokens(text.length, model));
    const tokens = lengths.reduce((sum, length) => sum + length, 0);
    const longest = Math.min(p.context, model.context, Math.max(...lengths));
    const weights = saeWeights(published);
    return {
      seconds: {
        start: 1,
        weights_loaded: model.parameters + weights,
        texts: p.texts.length,
        multiply_adds: tokens * (tokenWork(model, longest) + weights),
      },
      memory: {
        process: 1,
        weights: floats(model.parameters),
        sae_weights: floats(weights),
        values: floats(longest * model.width),
        codes: tokens * p.strongest,
      },
      artefact_bytes: 0,
    };
  },
  retention_days: 7,
});
