/** `sae.prune`: an autoencoder with a share of its weights set to zero, calibrated on a model, without training. */
import { z } from 'zod';
import { corpusSchema } from '../contracts/corpus.ts';
import { saeIdSchema, seedSchema } from '../contracts/manifest.ts';
import { modelReferenceSchema } from '../contracts/model.ts';
import { packingSchema, textAccountSchema, textSplitSchema } from '../contracts/text-use.ts';
import { defineJob } from './contract.ts';
import { ASSUMED_EXPANSION, floats, saeCodes, saeWeights, tokenWork } from './costs.ts';
import { EXAMPLE } from './example-ids.ts';
import { corpusInput, hookSchema, modelInput } from './references.ts';

export default defineJob({
  type: 'sae.prune',
  summary: 'Prune autoencoders without training',
  version: 1,
  scope: 'jobs:write',
  example: { model: EXAMPLE.model, sae: EXAMPLE.sae, corpus: { planted: {} }, shares: [0.5] },
  params: z.strictObject({
    model: modelReferenceSchema.describe('whose activations calibrate: usually a compressed model'),
    sae: saeIdSchema,
    corpus: corpusSchema,
    split: textSplitSchema.default('all'),
    packing: packingSchema.default('documents'),
    rule: z
      .enum(['canonical', 'output_norms', 'magnitude_matrix', 'magnitude_latent'])
      .default('canonical')
      .describe(
        'canonical: weights times the norms of their inputs, within each output; output_norms: times the norms of their ' +
          'outputs, within each input; magnitude: of each matrix, or within each latent',
      ),
    shares: z
      .array(z.number().min(0).lt(1))
      .min(1)
      .max(16)
      .default([0.25, 0.5, 0.75])
      .describe('one autoencoder each, every one from the weights given'),
    matrices: z.enum(['both', 'encoder', 'decoder']).default('both'),
    hook: hookSchema.nullable().default(null).describe("null: the autoencoder's own"),
    tokens: z.number().int().min(1).max(10_000_000).default(16_384),
    context: z.number().int().min(2).max(8192).default(128),
    allow_mismatch: z.boolean().default(false).describe('use it on another model or hook than its own'),
    seed: seedSchema.default(0),
  }),
  result: z.object({
    saes: z.array(
      z.object({
        sae: saeIdSchema,
        share: z.number(),
        encoder_nonzeros: z.number(),
        decoder_nonzeros: z.number(),
        fvu: z.number().nullable().describe('unexplained share of the variance of the calibration activations'),
        l0: z.number(),
      }),
    ),
    unpruned: z.object({ fvu: z.number().nullable(), l0: z.number() }),
    tokens: z.number(),
    text: textAccountSchema,
    data_digest: z.string(),
  }),
  progress: { saes: 'autoencoders pruned' },
  produces: ['sae'],
  models: (p) => [{ reference: p.model, pointer: '/model', hooks: p.hook ? [{ hook: p.hook, pointer: '/hook' }] : [] }],
  inputs: (p) => [...modelInput(p.model), { id: p.sae, pointer: '/sae' }, ...corpusInput(p.corpus)],
  work(p, model, published) {
    const context = Math.min(p.context, model.context);
    const weights = saeWeights(published) || 2 * ASSUMED_EXPANSION * model.width ** 2;
    const hook = p.hook ?? published.find(({ kind }) => kind === 'sae')?.hook ?? null;
    const codes = p.tokens * saeCodes(published);
    return {
      seconds: {
        start: 1,
        weights_loaded: model.parameters,
        multiply_adds: p.tokens * tokenWork(model, context, hook),
        // Once for the norms, once as it was, and once for each share.
        sae_multiply_adds: (2 + p.shares.length) * p.tokens * weights,
        codes: (2 + p.shares.length) * codes,
        weights_pruned: p.shares.length * weights,
      },
      memory: {
        process: 1,
        weights: floats(model.parameters),
        sae_weights: floats(weights * (1 + p.shares.length)),
        held: floats(2 * p.tokens * model.width),
        codes: floats(codes),
        latents: floats(weights / (2 * model.width)),
      },
      artefact_bytes: p.shares.length * (floats(weights) + 10_000),
    };
  },
  retention_days: 30,
});
