/** `sae.train`: sparse autoencoders at a hook point, a whole sweep over one stream of activations. */
import { z } from 'zod';
import { activationFilesSchema, fileRowsSchema, knownRows, requireOneSource } from '../contracts/activation-files.ts';
import { corpusSchema } from '../contracts/corpus.ts';
import { distinct } from '../contracts/distinct.ts';
import { saeIdSchema, seedSchema } from '../contracts/manifest.ts';
import { modelReferenceSchema } from '../contracts/model.ts';
import { textAccountSchema } from '../contracts/text-use.ts';
import { SAE_VARIANT_NAMES, saeVariant } from '../models/sae-variant-facts.ts';
import { defineJob } from './contract.ts';
import { floats, NO_MODEL, tokenWork } from './costs.ts';
import { EXAMPLE } from './example-ids.ts';
import { activationInputs, corpusInput, hookSchema, modelInput, modelUse } from './references.ts';

const saeVariantSchema = z.enum(SAE_VARIANT_NAMES);

/** One autoencoder of the sweep. */
const saeSpecSchema = z
  .strictObject({
    variant: saeVariantSchema,
    width: z.number().int().min(2).max(262_144).describe('number of latents'),
    k: z
      .number()
      .int()
      .min(1)
      .max(4096)
      .nullable()
      .default(null)
      .describe('latents per token: needed by the top-k family, refused by the others'),
    sparsity: z
      .number()
      .min(0)
      .max(1e6)
      .nullable()
      .default(null)
      .describe('L1 (relu) or L0 coefficient, null: 0.004; refused by the top-k family'),
    threshold: z
      .number()
      .min(0)
      .max(1e6)
      .nullable()
      .default(null)
      .describe('where learned thresholds begin, null: 0.001; for variants that learn them'),
    bandwidth: z
      .number()
      .positive()
      .max(1e6)
      .nullable()
      .default(null)
      .describe('width of the rectangle that stands for the derivative of their step, null: 0.001'),
    log_threshold: z.boolean().nullable().default(null).describe('learn their logarithms instead, null: false'),
    matryoshka_prefixes: z
      .array(z.number().int().min(1).max(262_144))
      .max(16)
      .default([])
      .describe('numbers of first latents that must each reconstruct on their own (Matryoshka)'),
    iterations: z.number().int().min(1).max(16).default(1).describe('proximal-gradient steps of the encoder'),
    seed: seedSchema.default(0),
  })
  .superRefine((spec, context) => {
    const { variant, width, k, sparsity, matryoshka_prefixes } = spec;
    const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    for (const name of ['threshold', 'bandwidth', 'log_threshold'] as const) {
      if (spec[name] !== null && !saeVariant(variant).learnsThreshold) {
        refuse(name, `${variant} learns no thresholds: leave it out`);
      }
    }
    if (spec.threshold === 0 && spec.log_threshold) {
      refuse('threshold', '0 has no logarithm');
    }
    if (saeVariant(variant).takes === 'k') {
      if (k === null) {
        refuse('k', `${variant} needs k, the number of latents per token`);
      } else if (k > width) {
        refuse('k', `k = ${k} is above the width ${width}`);
      }
      if (sparsity !== null) {
        refuse('sparsity', `${variant} has k latents per token and no penalty: leave it out`);
      }
    } else if (k !== null) {
      refuse('k', `${variant} is made sparse by 'sparsity', not by k: leave it out`);
    }
    if (matryoshka_prefixes.some((prefix) => prefix > width)) {
      refuse('matryoshka_prefixes', `a prefix is above the width ${width}`);
    }
  });
type SaeSpec = z.infer<typeof saeSpecSchema>;

/** Tokens of one shuffled block of the stream. */
export const BLOCK_TOKENS = 32_768;
/** Published text about one latent. */
const DASHBOARD_BYTES = 2000;
/** Whether steps touch only the codes that are kept; the others run as a dense program. */
function trainsSparsely({ variant, matryoshka_prefixes, iterations }: SaeSpec): boolean {
  const { selection } = saeVariant(variant);
  return selection === 'token' && matryoshka_prefixes.length === 0 && iterations === 1;
}

export default defineJob({
  type: 'sae.train',
  summary: 'Train sparse autoencoders on the activations of a model',
  version: 1,
  scope: 'jobs:write',
  example: {
    model: EXAMPLE.model,
    hook: 'resid_post.1',
    corpus: { planted: {} },
    saes: [{ variant: 'abstopk', width: 128, k: 8 }],
    steps: 200,
  },
  params: z
    .strictObject({
      model: modelReferenceSchema.nullable().default(null),
      hook: hookSchema.nullable().default(null),
      corpus: corpusSchema.nullable().default(null),
      activations: activationFilesSchema,
      saes: z
        .array(saeSpecSchema)
        .min(1)
        .max(64)
        .superRefine(distinct('autoencoder', (spec: SaeSpec) => JSON.stringify(spec))),
      context: z.number().int().min(2).max(8192).default(48),
      batch: z.number().int().min(16).max(65_536).default(1024).describe('activations per step'),
      steps: z.number().int().min(1).max(10_000_000).default(2000),
      learning_rate: z
        .number()
        .positive()
        .max(1)
        .nullable()
        .default(null)
        .describe('null: 2e-4 / sqrt(width / 2^14), capped'),
      warmup_steps: z
        .number()
        .int()
        .min(0)
        .nullable()
        .default(null)
        .describe('steps over which the learning rate rises; null: 100'),
      decay_fraction: z
        .number()
        .min(0)
        .max(1)
        .default(0.2)
        .describe('share of the steps over which the rate falls to 0'),
      auxiliary_weight: z
        .number()
        .min(0)
        .max(10)
        .default(0.03125)
        .describe('weight of the dead-latent loss (AbsTopK, eq. 7)'),
      dead_tokens: z
        .number()
        .int()
        .min(1)
        .default(100_000)
        .describe('tokens without a code other than 0 after which a latent counts as dead'),
      input_scaling: z
        .enum(['unit', 'none'])
        .default('unit')
        .describe('unit: scaled once so that E|x|^2 = 1; folded into the published weights'),
      decoder_bias: z
        .enum(['geometric_median', 'mean', 'zero'])
        .default('geometric_median')
        .describe('where it begins'),
      clip_norm: z.number().positive().nullable().default(1).describe('largest norm of the gradient'),
      norm_cap: z
        .number()
        .min(1)
        .nullable()
        .default(10)
        .describe('tokens with more than this many times the median norm are left out'),
      evaluation_tokens: z.number().int().min(256).max(1_000_000).default(8192).describe('held-out tokens'),
      feature_dashboards: z.boolean().default(true).describe('describe every latent, for GET /v1/saes/{id}/latents'),
      seed: seedSchema.default(0).describe('seed of the activation stream'),
    })
    .superRefine((params, context) => {
      const refuse = (field: string, message: string) => context.addIssue({ code: 'custom', path: [field], message });
      requireOneSource(params, { asked: ['model', 'hook', 'corpus'] }, refuse);
      if (params.warmup_steps !== null && params.warmup_steps > params.steps) {
        refuse(
          'warmup_steps',
          `the learning rate rises over ${params.warmup_steps} steps, and there are ${params.steps}`,
        );
      }
    }),
  result: z.object({
    saes: z.array(
      z.object({
        id: saeIdSchema,
        variant: saeVariantSchema,
        width: z.number(),
        k: z.number().nullable(),
        seed: z.number(),
        loss: z.number(),
        fvu: z
          .number()
          .nullable()
          .describe('fraction of variance unexplained on held-out activations; null where these do not vary'),
        l0: z.number(),
        dead_share: z.number(),
        minority_share: z.number().describe('BD(0.05): alive latents whose rarer sign makes up at least 5 %'),
      }),
    ),
    tokens: z.number(),
    tokens_per_s: z.number(),
    text: textAccountSchema
      .nullable()
      .describe('of the side that is trained on, read once; null for text without end and for activations in files'),
    held_out_text: textAccountSchema.nullable().describe('of the side that is measured on; null in the same cases'),
    rows: fileRowsSchema.nullable().describe('of activations in files; null for those of a model'),
    data_digest: z.string(),
    input_scale: z.number().describe('factor on activations during training'),
    first_step: z.number().describe('above 0 when a run that had been interrupted was continued'),
    warnings: z.array(z.string()),
  }),
  progress: {
    loss: 'mean squared error per token, scaled inputs',
    fvu: 'fraction',
    l0: 'latents per token',
    dead_share: 'fraction',
    tokens_per_s: '1/s',
    seconds_left: 's',
  },
  produces: ['sae'],
  models: (p) => (p.model && p.hook ? [modelUse(p.model, { hook: p.hook })] : []),
  inputs: (p) => [
    ...(p.model ? modelInput(p.model) : []),
    ...(p.corpus ? corpusInput(p.corpus) : []),
    ...activationInputs(p.activations),
  ],
  work(p, read, published) {
    // Files are read in place of a model, whose part in every quantity is nothing.
    const rows = p.activations && knownRows(published);
    const model = rows ? { ...NO_MODEL, width: rows.width } : read;
    const { width: inputs } = model;
    const context = Math.min(p.context, model.context);
    const tokens = p.steps * p.batch;
    const block = Math.max(BLOCK_TOKENS, 2 * p.batch);
    const weights = (fast: boolean): number =>
      p.saes.filter((sae) => trainsSparsely(sae) === fast).reduce((sum, { width }) => sum + 2 * width * inputs, 0);
    const latents = p.saes.reduce((sum, { width }) => sum + width, 0);
    const widest = Math.max(...p.saes.map(({ width }) => width));
    // Nothing bounds the codes of a penalised variant: early in training half of them are not 0.
    const codes = p.evaluation_tokens * p.saes.reduce((sum, { k, width }) => sum + (k ?? width / 2), 0);
    const [sparse, dense] = [weights(true), weights(false)];
    const denseLatents = dense / (2 * inputs);
    const dashboards = p.feature_dashboards ? latents * inputs * model.vocabulary : 0;
    return {
      seconds: {
        start: 1,
        read_multiply_adds: Math.max(BLOCK_TOKENS, tokens + p.evaluation_tokens) * tokenWork(model, context, p.hook),
        sparse_multiply_adds: (tokens * sparse) / 2,
        dense_multiply_adds: tokens * dense,
        evaluated_multiply_adds: p.evaluation_tokens * (sparse + dense) + dashboards,
        codes,
      },
      memory: {
        process: 1,
        weights: floats(model.parameters),
        block: rows ? 0 : floats(block * inputs),
        file_block: rows ? floats(Math.min(block, rows.count) * inputs) : 0,
        batch: floats(p.batch * inputs * p.saes.length),
        sparse_weights: floats(sparse),
        dense_weights: floats(dense),
        dense_codes: floats(p.batch * denseLatents),
        widest: floats(2 * widest * inputs),
        evaluated: rows ? 0 : floats(p.evaluation_tokens * inputs),
        file_evaluated: rows ? floats(Math.min(p.evaluation_tokens, rows.count) * inputs) : 0,
        codes: floats(codes),
      },
      artefact_bytes: floats(sparse + dense) + (p.feature_dashboards ? DASHBOARD_BYTES * latents : 0),
    };
  },
  retention_days: 30,
});
