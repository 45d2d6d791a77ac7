/** `sae.evaluate`: sign-safe metrics of SAEs on held-out activations and, where the axes of the text are known, against them. */
import { z } from 'zod';
import { activationFilesSchema, fileRowsSchema, knownRows, requireOneSource } from '../contracts/activation-files.ts';
import { corpusSchema } from '../contracts/corpus.ts';
import { reportIdSchema, saeIdSchema, seedSchema } from '../contracts/manifest.ts';
import { modelReferenceSchema } from '../contracts/model.ts';
import { packingSchema, textAccountSchema, textSplitSchema, windowSchema } from '../contracts/text-use.ts';
import { logitPositions } from '../models/pass-size.ts';
import { defineJob } from './contract.ts';
import { ASSUMED_EXPANSION, floats, NO_MODEL, saeCodes, saeWeights, textTokens, tokenWork } from './costs.ts';
import { EXAMPLE } from './example-ids.ts';
import { activationInputs, corpusInput, distinctIds, modelInput } from './references.ts';

const axisScoreSchema = z.object({
  axis: z.string(),
  signed: z.boolean(),
  latent: z.number().describe('the single latent whose code correlates best with the axis'),
  correlation: z.number().describe('Pearson correlation of its code with the axis over tokens, signed'),
  positive_latent: z.number(),
  positive_correlation: z.number().describe('of the best latent for "the axis is at its positive pole"'),
  negative_latent: z.number().nullable(),
  negative_correlation: z.number().nullable(),
  both_poles: z
    .boolean()
    .describe(
      'the best latent of the axis tells each pole, with opposite signs, at least 0.8 times as well as the best latent for that pole',
    ),
});

const steeredPoleSchema = z.strictObject({
  texts: z.array(z.string().min(1).max(20_000)).min(1).max(2000),
  tokens: z.array(z.string().min(1).max(100)).min(1).max(1000),
});
const frontierSchema = z.array(
  z.object({
    strength: z.number().describe('in units of the mean norm of the residual stream'),
    effect: z.number().describe('change of the log odds of the positive against the negative tokens'),
    off_target_kl: z.number().describe('on held-out text, nats'),
    perplexity: z.number().describe('of held-out text while steered'),
  }),
);
const steeringResultSchema = z.object({
  latent: z.number(),
  sign: z.union([z.literal(1), z.literal(-1)]),
  separation: z.number(),
  frontiers: z.object({ sae_latent: frontierSchema, difference_in_means: frontierSchema, random: frontierSchema }),
});
export const labelledSchema = z.strictObject({
  name: z.string().min(1).max(100),
  texts: z
    .array(
      z.strictObject({
        text: z.string().min(1).max(20_000),
        label: z.string().min(1).max(100),
        spurious: z.string().min(1).max(100).nullable().default(null),
      }),
    )
    .min(20)
    .max(20_000),
});
const perturbationSchema = z.object({
  removed: z.number().describe('latents removed'),
  fixed: z.number().describe('score by the sign-safe form'),
  original: z.number().describe("score by SAEBench's form"),
});
export const tasksSchema = z.object({
  name: z.string(),
  texts: z.number(),
  tested: z.number().describe('texts that the accuracies are measured on'),
  chance: z.number().describe('accuracy of the more frequent answer, mean over the classes against the rest'),
  probing: z.array(z.object({ k: z.number(), accuracy: z.number() })),
  dense_accuracy: z.number().describe('of a probe on the activations themselves'),
  tpp: z.array(perturbationSchema).nullable().describe('null for two labels, where the score is 0 by definition'),
  scr: z.array(perturbationSchema).nullable().describe('null without two labels and two values of the attribute'),
});
const absorbedSchema = z.object({
  full: z.number().describe('share of words on which one other latent stands in for those of the letter'),
  fraction: z.number().describe('mean share of the letter that up to three other latents carry'),
});
const letterFormSchema = absorbedSchema.extend({
  main: z.array(z.number()).describe('latents that stand for the letter'),
  f1: z.number().describe('of a probe on them, held-out words'),
});
const absorptionSchema = z.object({
  words: z.number().describe('words of at most `longest` tokens'),
  dropped: z.number().describe('given words of more tokens, not of letters, or again'),
  fixed: absorbedSchema.nullable().describe('by the sign-safe form, over all letters; null: no letter can be scored'),
  original: absorbedSchema.nullable().describe("by SAEBench's form"),
  letters: z.array(
    z.object({
      letter: z.string(),
      words: z.number().describe('held-out words that a dense probe gets right'),
      probe_f1: z.number().describe('of the dense probe on held-out words'),
      fixed: letterFormSchema,
      original: letterFormSchema,
    }),
  ),
  left_out: z.array(z.object({ letter: z.string(), reason: z.string() })),
});
const intervalSchema = z.object({ estimate: z.number(), low: z.number(), high: z.number(), error: z.number() });

const spliceSchema = z.object({
  spliced: z.number(),
  zero: z.number(),
  mean: z.number(),
  identity: z.number(),
});
const lossSchema = z.object({
  tokens: z.number(),
  original: z.number().describe('cross-entropy of the untouched model, nats'),
  cross_entropy: spliceSchema.describe('with the site replaced by its reconstruction, zeros, its mean, itself'),
  kl: spliceSchema.describe('KL divergence from the untouched next-token distribution, nats'),
  recovered: z.number().nullable().describe('1: as the untouched model, 0: as with zeros'),
  recovered_from_mean: z.number().nullable().describe('1: as the untouched model, 0: as with the mean'),
});

export default defineJob({
  type: 'sae.evaluate',
  summary: 'Evaluate sparse autoencoders',
  version: 1,
  scope: 'jobs:write',
  example: { model: EXAMPLE.model, saes: [EXAMPLE.sae], corpus: { planted: {} } },
  params: z
    .strictObject({
      model: modelReferenceSchema.nullable().default(null),
      saes: z.array(saeIdSchema).min(1).max(64).superRefine(distinctIds),
      corpus: corpusSchema.nullable().default(null),
      activations: activationFilesSchema,
      split: textSplitSchema.default('all'),
      packing: packingSchema.default('documents'),
      tokens: z
        .number()
        .int()
        .min(256)
        .max(10_000_000)
        .default(16_384)
        .describe('most tokens that are not special, or rows of files'),
      context: windowSchema(2),
      loss_sequences: z
        .number()
        .int()
        .min(0)
        .max(100_000)
        .default(32)
        .describe('sequences on which the model runs with the reconstruction spliced in; 0: not measured'),
      labelled: z
        .array(labelledSchema)
        .max(16)
        .default([])
        .describe('labelled texts for k-sparse probing, TPP and (with a spurious attribute) SCR'),
      spelling: z
        .strictObject({
          words: z
            .array(z.string().min(2).max(100))
            .min(50)
            .max(50_000)
            .nullable()
            .default(null)
            .describe("null: the tokenizer's words"),
          longest: z.number().int().min(1).max(16).default(1).describe('most tokens of a word; it is read at its last'),
          examples: z.number().int().min(0).max(32).default(10).describe('words that the prompt spells first'),
        })
        .nullable()
        .default(null)
        .describe('absorption on first letters, of those that the activations spell'),
      steering: z
        .strictObject({
          positive: steeredPoleSchema,
          negative: steeredPoleSchema,
          prompts: z.array(z.string().min(1).max(20_000)).min(1).max(256),
          strengths: z.array(z.number().positive().max(100)).min(1).max(32).default([0.25, 0.5, 1, 2]),
        })
        .nullable()
        .default(null)
        .describe(
          'steer by the latent that separates two sets of texts, beside Difference-in-Mean and a random direction',
        ),
      allow_mismatch: z.boolean().default(false),
      seed: seedSchema.default(1),
    })
    .superRefine((params, context) =>
      requireOneSource(
        params,
        { asked: ['model', 'corpus'], idle: ['labelled', 'spelling', 'steering'] },
        (field, message) => context.addIssue({ code: 'custom', path: [field], message }),
      ),
    ),
  result: z.object({
    saes: z.array(
      z.object({
        id: saeIdSchema,
        variant: z.string(),
        width: z.number(),
        mse: z.number(),
        nmse: z.number(),
        fvu: z.number().nullable().describe('null where the activations do not vary'),
        cosine: z.number(),
        l0: z.number(),
        dead_share: z.number(),
        minority_share_05: z.number(),
        minority_share_20: z.number(),
        antipodal_share: z.number().describe('AP(0.95): latents with a decoder row opposite to theirs'),
        k: z.number().nullable(),
        hook: z.string().nullable(),
        mismatch: z.array(z.string()).describe('what the SAE was not trained for: model, hook'),
        loss: lossSchema.nullable(),
        intervals: z
          .object({ mse: intervalSchema, nmse: intervalSchema, fvu: intervalSchema.nullable(), l0: intervalSchema })
          .nullable()
          .describe('95 % bootstrap intervals over sequences; null for a single sequence'),
        labelled: z.array(tasksSchema),
        absorption: absorptionSchema.nullable(),
        steering: steeringResultSchema.nullable(),
        axes: z.array(axisScoreSchema),
      }),
    ),
    tokens: z.number(),
    text: textAccountSchema.nullable().describe('of the corpus; null for activations in files'),
    rows: fileRowsSchema.nullable().describe('of activations in files; null for those of a model'),
    data_digest: z.string(),
    report: reportIdSchema,
  }),
  progress: { tokens: 'tokens so far' },
  produces: ['report'],
  models: (p) => (p.model ? [{ reference: p.model, pointer: '/model', hooks: [] }] : []),
  inputs: (p) => [
    ...(p.model ? modelInput(p.model) : []),
    ...(p.corpus ? corpusInput(p.corpus) : []),
    ...activationInputs(p.activations),
    ...p.saes.map((id, i) => ({ id, pointer: `/saes/${i}` })),
  ],
  work(p, read, published) {
    const rows = p.activations && knownRows(published);
    const model = rows ? { ...NO_MODEL, width: rows.width } : read;
    const { width: inputs, vocabulary } = model;
    const context = Math.min(p.context, model.context);
    const weights = saeWeights(published) || p.saes.length * 2 * ASSUMED_EXPANSION * inputs ** 2;
    const count = p.saes.length;
    const codes = saeCodes(published);
    const spliced = p.model ? p.loss_sequences * context : 0;
    const texts = p.labelled.flatMap((task) => task.texts);
    const tokens = p.tokens + texts.reduce((sum, { text }) => sum + textTokens(text.length, model), 0) * count;
    // Untouched, spliced, zeros, mean and itself.
    const passes = spliced * (3 + 2 * count);
    return {
      seconds: {
        start: 1,
        weights_loaded: model.parameters,
        multiply_adds: (tokens + passes) * tokenWork(model, context) + passes * vocabulary * inputs,
        logits: passes * vocabulary,
        sae_multiply_adds: (p.tokens + spliced + texts.length) * weights,
        values: p.tokens * inputs * count,
        codes: p.tokens * codes,
      },
      memory: {
        process: 1,
        weights: floats(model.parameters),
        sae_weights: floats(weights / count),
        held: rows ? 0 : floats(p.tokens * inputs * (1 + count)),
        file_rows: rows ? floats(Math.min(p.tokens, rows.count) * inputs) : 0,
        codes: floats(Math.min(p.tokens, rows?.count ?? p.tokens) * codes),
        latents: floats(weights / (2 * inputs * count)),
        logits: floats(Math.min(spliced, Math.max(context, logitPositions(vocabulary))) * vocabulary),
        spliced: floats(spliced * inputs),
      },
      artefact_bytes: 200_000,
    };
  },
  retention_days: 30,
});
