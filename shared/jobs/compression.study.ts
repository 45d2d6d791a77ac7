/** `compression.study`: does an autoencoder of the dense model still hold on compressed copies of it? */
import { z } from 'zod';
import { corpusSchema } from '../contracts/corpus.ts';
import { randomIdSchema, reportIdSchema, saeIdSchema, seedSchema } from '../contracts/manifest.ts';
import { modelReferenceSchema } from '../contracts/model.ts';
import { textAccountSchema } from '../contracts/text-use.ts';
import { defineJob } from './contract.ts';
import { ASSUMED_EXPANSION, floats, saeCodes, saeWeights, tokenWork } from './costs.ts';
import { EXAMPLE } from './example-ids.ts';
import { corpusInput, distinctLabels, hookSchema, modelInput } from './references.ts';
import { BLOCK_TOKENS } from './sae.train.ts';

/** Steps of a fine-tuning where the autoencoder does not say how it was trained, and activations per step. */
export const FINE_TUNING = { steps: 500, batch: 256 };

import { labelledSchema, tasksSchema } from './sae.evaluate.ts';

const number = z.number();
const scoresSchema = z.object({
  variant: z.string().describe("'dense', 'transferred', 'retrained' or 'pruned'"),
  share: number.nullable().describe('of the weights of a pruned SAE that are zero'),
  fvu: number.nullable(),
  l0: number,
  alive: number.describe('share of the latents that are ever active'),
  loss_recovered: number.nullable().describe('against the model that it is spliced into'),
  low: number.nullable(),
  high: number.nullable().describe('of a 95 % interval over sequences'),
  dense_loss_recovered: number.nullable().describe('against the dense model'),
  kl: number.describe('KL(model || spliced), nats'),
  dense_kl: number.nullable().describe('KL(dense || spliced), nats'),
  loss_without: number,
  loss_with: number,
  overlap: number.nullable().describe('of active latents with the transferred SAE, mean Jaccard over tokens'),
  labelled: z.array(tasksSchema),
});
const driftSchema = z.object({
  latent: number,
  fate: z.enum(['died', 'rotated']),
  correlation: number,
  taken_over_by: number.nullable(),
  taken_over_correlation: number.nullable(),
  tokens_before: z.array(z.string()),
  tokens_after: z.array(z.string()),
});

export default defineJob({
  type: 'compression.study',
  summary: 'Study whether an autoencoder holds on compressed copies of its model',
  version: 1,
  scope: 'jobs:write',
  example: {
    model: EXAMPLE.model,
    copies: [{ label: '4 bits', model: { local: 'copy-4bit' } }],
    sae: { id: EXAMPLE.sae },
    corpus: { planted: {} },
  },
  params: z.strictObject({
    model: modelReferenceSchema.describe('the dense model'),
    copies: z
      .array(z.strictObject({ label: z.string().min(1).max(60), model: modelReferenceSchema }))
      .min(1)
      .max(16)
      .superRefine(distinctLabels)
      .describe('compressed copies of it'),
    sae: z.union([
      z.strictObject({ id: saeIdSchema }),
      z.strictObject({ config: randomIdSchema('art'), weights: randomIdSchema('art') }).describe('a SAELens folder'),
    ]),
    hook: hookSchema.nullable().default(null).describe("null: the SAE's own; uploaded ones need it"),
    corpus: corpusSchema,
    tokens: z.number().int().min(256).max(1_000_000).default(8192).describe('held-out tokens to measure on'),
    context: z.number().int().min(2).max(8192).default(128),
    loss_sequences: z.number().int().min(1).max(100_000).default(16),
    retrain: z
      .strictObject({
        steps: z.number().int().min(1).max(10_000_000).nullable().default(null).describe("null: the SAE's own recipe"),
        batch: z.number().int().min(16).max(65_536).nullable().default(null),
      })
      .nullable()
      .default({ steps: null, batch: null })
      .describe('null: no retrained SAE'),
    rule: z.enum(['canonical', 'output_norms', 'magnitude_matrix', 'magnitude_latent']).default('canonical'),
    shares: z.array(z.number().gt(0).lt(1)).max(16).default([0.25, 0.5, 0.75]),
    labelled: z.array(labelledSchema).max(8).default([]),
    allow_mismatch: z.boolean().default(false).describe('use an SAE of another model or hook'),
    allow_unmatched: z.boolean().default(false).describe('compare although the L0 of the retrained SAE is off'),
    seed: seedSchema.default(0),
  }),
  result: z.object({
    report: reportIdSchema,
    hook: z.string(),
    dense: scoresSchema,
    copies: z.array(
      z.object({
        label: z.string(),
        variants: z.array(scoresSchema),
        survival: number.describe('share of the latents whose codes correlate by 0.9 or more'),
        died: number,
        support_overlap: number,
        drifted: z.array(driftSchema),
        retraining: z.string().nullable().describe("'recipe' or 'fine-tuned'; null: not retrained"),
        coefficient: z.number().nullable().describe('of its sparsity penalty, chosen so that its L0 matches'),
        bound: z
          .object({ lipschitz: number, shift: number, error: number, bound: number, holds: z.boolean() })
          .nullable()
          .describe('bound (3), for ReLU codes'),
      }),
    ),
    tokens: number,
    text: textAccountSchema.nullable().describe('of the side that is measured on; null for text without end'),
    retraining_text: textAccountSchema.nullable().describe('of the side that is trained on, read once; null without'),
    data_digest: z.string(),
  }),
  progress: { copies: 'copies studied', of: 'copies' },
  produces: ['report'],
  models: (p) => [
    { reference: p.model, pointer: '/model', hooks: p.hook ? [{ hook: p.hook, pointer: '/hook' }] : [] },
    ...p.copies.map(({ model }, i) => ({ reference: model, pointer: `/copies/${i}/model`, hooks: [] })),
  ],
  inputs: (p) => [
    ...modelInput(p.model),
    ...p.copies.flatMap(({ model }, i) => modelInput(model, `/copies/${i}/model`)),
    ...('id' in p.sae
      ? [{ id: p.sae.id, pointer: '/sae/id' }]
      : [
          { id: p.sae.config, pointer: '/sae/config' },
          { id: p.sae.weights, pointer: '/sae/weights' },
        ]),
    ...corpusInput(p.corpus),
  ],
  work(p, model, published) {
    const context = Math.min(p.context, model.context);
    const weights = saeWeights(published) || 2 * ASSUMED_EXPANSION * model.width ** 2;
    const sae = published.find(({ kind }) => kind === 'sae');
    const stored = (name: string): number | null => {
      const value = sae?.params[name];
      return typeof value === 'number' ? value : null;
    };
    const steps = p.retrain ? (p.retrain.steps ?? stored('steps') ?? FINE_TUNING.steps) : 0;
    const batch = p.retrain?.batch ?? stored('batch') ?? FINE_TUNING.batch;
    const copies = p.copies.length;
    const scored = 1 + copies * (1 + p.shares.length + (p.retrain ? 1 : 0));
    const spliced = p.loss_sequences * context;
    // Untouched, zeros and mean once for each model and its dense one, and every autoencoder spliced in.
    const passes = spliced * (5 * (1 + copies) + scored);
    const learned = p.retrain ? copies * Math.max(BLOCK_TOKENS, steps * batch) : 0;
    const hook = p.hook ?? sae?.hook ?? null;
    return {
      seconds: {
        start: 1,
        weights_loaded: (1 + copies) * model.parameters,
        multiply_adds:
          ((1 + copies) * p.tokens + learned) * tokenWork(model, context, hook) +
          passes * (tokenWork(model, context) + model.vocabulary * model.width),
        logits: passes * model.vocabulary,
        sae_multiply_adds: scored * (2 * p.tokens + spliced) * weights,
        trained_multiply_adds: copies * steps * batch * weights,
        codes: scored * p.tokens * saeCodes(published),
      },
      memory: {
        process: 1,
        weights: floats(2 * model.parameters),
        sae_weights: floats(weights * (2 + p.shares.length)),
        trained_weights: p.retrain ? floats(weights) : 0,
        held: floats(3 * p.tokens * model.width),
        block: p.retrain ? floats(Math.max(BLOCK_TOKENS, 2 * batch) * model.width) : 0,
        logits: floats(Math.min(spliced, 4096) * model.vocabulary),
        latents: floats((scored * weights) / (2 * model.width)),
      },
      artefact_bytes: 1e6,
    };
  },
  retention_days: 30,
});
