/** `vectors.derive`: a steering vector, from two sets of texts or from a latent of an SAE. */
import { z } from 'zod';
import { saeIdSchema, seedSchema, vectorIdSchema } from '../contracts/manifest.ts';
import { modelReferenceSchema } from '../contracts/model.ts';
import { vectorNameSchema } from '../contracts/vector.ts';
import { defineJob } from './contract.ts';
import { floats, saeWeights, textTokens, tokenWork } from './costs.ts';
import { EXAMPLE } from './example-ids.ts';
import { distinctHooks, hookSchema, modelInput } from './references.ts';

/** A pole of the axis: texts that show it, and tokens whose probability tells how far steering went. */
const poleSchema = z.strictObject({
  label: z.string().min(1).max(200),
  texts: z.array(z.string().min(1).max(20_000)).max(10_000).default([]),
  tokens: z
    .array(z.string().min(1).max(100))
    .max(1000)
    .default([])
    .describe('each a single token of the model, with its space where it has one'),
});
const common = {
  model: modelReferenceSchema,
  positive: poleSchema,
  negative: poleSchema,
  prompts: z.array(z.string().max(20_000)).max(1000).default([]).describe('texts on which the strength is calibrated'),
  strengths: z.array(z.number().min(-100).max(100)).max(64).default([0.25, 0.5, 1, 2, 4]),
  name: vectorNameSchema.optional().describe('points this name at the vector when the job has succeeded'),
  seed: seedSchema.default(0),
};

const calibrationPoint = z.object({
  strength: z.number(),
  positive_probability: z.number(),
  negative_probability: z.number(),
  kl: z.number().describe('KL divergence of the steered from the plain next-token distribution, nats'),
});

/** A method that reads two sets of texts. */
const fromTexts = <M extends string>(method: M, what: string) =>
  z.strictObject({
    method: z.literal(method).describe(what),
    hook: hookSchema,
    hooks: z
      .array(hookSchema)
      .min(1)
      .max(64)
      .superRefine(distinctHooks)
      .optional()
      .describe(
        'tried beside `hook`; the vector is of the one where the positive pole gains most at the calibrated strength',
      ),
    positions: z.enum(['all', 'last']).default('all'),
    ...common,
  });

/** The hook points that are tried. */
const hooksOf = (p: { hook: string; hooks?: string[] | undefined }): string[] => [p.hook, ...(p.hooks ?? [])];

export default defineJob({
  type: 'vectors.derive',
  summary: 'Derive a steering vector and calibrate its strength',
  version: 1,
  scope: 'jobs:write',
  example: {
    method: 'difference_in_means',
    model: EXAMPLE.model,
    hook: 'resid_post.1',
    positive: { label: 'glad', texts: ['what a glad day'], tokens: ['glad'] },
    negative: { label: 'sad', texts: ['what a sad day'], tokens: ['sad'] },
    prompts: ['the weather is'],
  },
  params: z
    .discriminatedUnion('method', [
      fromTexts('difference_in_means', 'mean over the positive texts minus mean over the negative'),
      fromTexts('principal_component', 'of the rows of both sets, towards the positive'),
      fromTexts(
        'contrastive_pairs',
        'the mean difference within pairs: text i of either set, every pair counting the same',
      ),
      fromTexts('logistic_probe', 'weights of a probe that tells the rows of the two sets apart'),
      z.strictObject({
        method: z.literal('sae_latent').describe('the decoder row of a latent'),
        sae: saeIdSchema,
        latent: z.number().int().min(0),
        sign: z
          .union([z.literal(1), z.literal(-1)])
          .default(1)
          .describe('which sign of the code is the positive pole'),
        hook: hookSchema,
        allow_mismatch: z.boolean().default(false).describe('apply an SAE to another model or hook than its own'),
        ...common,
      }),
    ])
    .superRefine((p, context) => {
      const refuse = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
      const { positive, negative, prompts } = p;
      if (p.method === 'sae_latent') {
        if (positive.texts.length + negative.texts.length + prompts.length === 0) {
          refuse(['prompts'], 'a text is needed to measure the norm of the residual stream on');
        }
        return;
      }
      for (const pole of ['positive', 'negative'] as const) {
        if (p[pole].texts.length === 0) {
          refuse([pole, 'texts'], `${p.method} needs texts of both poles`);
        }
      }
      if (p.hooks?.includes(p.hook)) {
        refuse(['hooks'], `${p.hook} is tried already, as \`hook\``);
      }
    }),
  result: z.object({
    vector: vectorIdSchema,
    name: z.string().nullable(),
    width: z.number(),
    residual_norm: z.number(),
    strength: z.number().nullable(),
    calibration: z.array(calibrationPoint),
    mismatch: z.boolean(),
    hook: z.string().optional().describe('where the vector is, of several that were tried'),
    sweep: z
      .array(
        z.object({
          hook: z.string(),
          residual_norm: z.number(),
          strength: z.number().nullable(),
          calibration: z.array(calibrationPoint),
        }),
      )
      .optional()
      .describe('every hook that was tried: effect against strength, with KL'),
  }),
  progress: { texts: 'texts done' },
  produces: ['vector'],
  models: (p) => [
    {
      reference: p.model,
      pointer: '/model',
      hooks: hooksOf(p).map((hook, i) => ({ hook, pointer: i === 0 ? '/hook' : `/hooks/${i - 1}` })),
    },
  ],
  inputs: (p) => [...modelInput(p.model), ...(p.method === 'sae_latent' ? [{ id: p.sae, pointer: '/sae' }] : [])],
  work(p, model, published) {
    const lengthOf = (texts: readonly string[]): number[] => texts.map((text) => textTokens(text.length, model));
    const sum = (lengths: readonly number[]): number => lengths.reduce((total, length) => total + length, 0);
    const read = lengthOf([...p.positive.texts, ...p.negative.texts]);
    const prompted = lengthOf(p.prompts);
    const tried = hooksOf(p).length;
    const steered = tried * (1 + p.strengths.length) * sum(prompted);
    const tokens = tried * sum(read) + (p.method === 'sae_latent' ? sum(prompted) : 0);
    const longest = Math.max(1, ...read, ...prompted);
    return {
      seconds: {
        start: 1,
        weights_loaded: model.parameters + saeWeights(published),
        multiply_adds: tokens * tokenWork(model, longest, p.hook) + steered * tokenWork(model, longest),
        logits: tried * (1 + p.strengths.length) * p.prompts.length * model.vocabulary,
      },
      memory: {
        process: 1,
        weights: floats(model.parameters),
        sae_weights: floats(saeWeights(published)),
        activations: floats(('positions' in p && p.positions === 'last' ? read.length : tokens) * model.width),
        values: floats(16 * longest * model.width),
        logits: floats(p.prompts.length * model.vocabulary),
      },
      artefact_bytes: 65_536,
    };
  },
  retention_days: 30,
});
