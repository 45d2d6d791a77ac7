/** `lm.evaluate`: loss, divergence and next-token choices of a model, plain and steered by vectors, in one run. */
import { z } from 'zod';
import { corpusSchema } from '../contracts/corpus.ts';
import { seedSchema } from '../contracts/manifest.ts';
import { modelReferenceSchema } from '../contracts/model.ts';
import { clampedLatentSchema, steeredVectorSchema } from '../contracts/steering.ts';
import { packingSchema, textAccountSchema, textSplitSchema, windowSchema } from '../contracts/text-use.ts';
import { logitPositions } from '../models/pass-size.ts';
import { defineJob } from './contract.ts';
import { floats, textTokens, tokenWork } from './costs.ts';
import { EXAMPLE } from './example-ids.ts';
import { corpusInput, distinctLabels, modelInput, steeringHooks, steeringInputs, vectorUses } from './references.ts';

/** One way to run the model. */
export const steeringSchema = z.strictObject({
  label: z.string().min(1).max(100),
  vectors: z.array(steeredVectorSchema).max(16).default([]),
  latents: z.array(clampedLatentSchema).max(16).optional().describe('latents of SAEs that are held at a value'),
});
const tokenSetSchema = z.strictObject({
  label: z.string().min(1).max(100),
  tokens: z.array(z.string().min(1).max(100)).min(1).max(1000),
});

export default defineJob({
  type: 'lm.evaluate',
  summary: 'Evaluate a language model, plain and steered',
  version: 2,
  scope: 'jobs:write',
  example: { model: EXAMPLE.model, corpus: { planted: {} }, tokens: 4096 },
  params: z
    .strictObject({
      model: modelReferenceSchema,
      prompts: z
        .array(z.string().max(20_000))
        .max(10_000)
        .default([])
        .describe('next-token probabilities are taken at the end of each'),
      corpus: corpusSchema.nullable().default(null).describe('text for the cross-entropy; null: no loss'),
      split: textSplitSchema.default('all'),
      packing: packingSchema.default('documents'),
      tokens: z.number().int().min(1).max(10_000_000).default(8192).describe('most predictions'),
      context: windowSchema(2),
      targets: z
        .array(tokenSetSchema)
        .max(64)
        .superRefine(distinctLabels)
        .default([])
        .describe('token sets whose summed probability is reported'),
      answers: z
        .array(
          z.strictObject({
            token: z.string().min(1).max(100).describe('a single token, with its space where it has one'),
            other: z.string().min(1).max(100).nullable().default(null).describe('the token it is compared with'),
          }),
        )
        .max(10_000)
        .default([])
        .describe('what should follow each prompt: one answer for each of them'),
      reference: modelReferenceSchema
        .nullable()
        .default(null)
        .describe('a model of the same vocabulary, plain, from which the divergence on the corpus is taken'),
      runs: z
        .array(steeringSchema)
        .min(1)
        .max(64)
        .superRefine(distinctLabels)
        .default([{ label: 'plain', vectors: [] }]),
      allow_mismatch: z.boolean().default(false).describe('apply a vector to another model or hook than its own'),
      seed: seedSchema.default(0),
    })
    .superRefine(({ prompts, targets, answers, reference, corpus }, context) => {
      const refuse = (field: string, message: string) => context.addIssue({ code: 'custom', path: [field], message });
      if (targets.length > 0 && prompts.length === 0) {
        refuse('prompts', 'targets are measured after prompts, and there is none');
      }
      if (answers.length > 0 && answers.length !== prompts.length) {
        refuse('answers', `${answers.length} answers to ${prompts.length} prompts; each has one`);
      }
      if (reference && !corpus) {
        refuse('reference', 'the divergence is taken on a corpus, and there is none');
      }
    }),
  result: z.object({
    runs: z.array(
      z.object({
        label: z.string(),
        loss: z.number().nullable().describe('mean next-token cross-entropy, nats'),
        perplexity: z.number().nullable(),
        targets: z.record(z.string(), z.number()).describe('summed probability, mean over prompts'),
        kl: z
          .number()
          .nullable()
          .describe('KL(run || plain) of the next token after the prompts, mean over prompts, nats'),
        accuracy: z.number().nullable().describe('share of prompts after which the answer is the most likely token'),
        logit_difference: z
          .number()
          .nullable()
          .describe('logit of the answer minus that of the other token, mean over the answers that have one'),
        reference_kl: z
          .number()
          .nullable()
          .describe('KL(reference || run) of the next token, mean over the positions of the corpus, nats'),
      }),
    ),
    prompts: z.number(),
    tokens: z.number().describe('predictions, which the loss is the mean of'),
    text: textAccountSchema.nullable().describe('null without a corpus'),
    data_digest: z.string().nullable(),
  }),
  progress: { runs: 'runs done' },
  produces: ['report'],
  models: (p) => [
    { reference: p.model, pointer: '/model', hooks: p.runs.flatMap((run, i) => steeringHooks(run, `/runs/${i}`)) },
    ...(p.reference ? [{ reference: p.reference, pointer: '/reference', hooks: [] }] : []),
  ],
  inputs: (p) => [
    ...modelInput(p.model),
    ...(p.reference ? modelInput(p.reference, '/reference') : []),
    ...(p.corpus ? corpusInput(p.corpus) : []),
    ...p.runs.flatMap((run, i) => steeringInputs(run, `/runs/${i}`)),
  ],
  vectors: (p) => p.runs.flatMap((run, i) => vectorUses(run, `/runs/${i}`)),
  work(p, model) {
    const context = Math.min(p.context, model.context);
    const models = p.reference ? 2 : 1;
    const read = p.corpus ? p.tokens * (models + (p.reference ? 1 : 0)) : 0;
    const lengths = p.prompts.map((prompt) => textTokens(prompt.length, model));
    const prompted = lengths.reduce((sum, length) => sum + length, 0);
    const head = model.vocabulary * model.width;
    const pass = p.corpus ? Math.min(p.tokens, 8 * context, Math.max(context, logitPositions(model.vocabulary))) : 0;
    const rows = Math.max(pass, 16 * Math.max(0, ...lengths));
    return {
      seconds: {
        start: 1,
        weights_loaded: models * model.parameters,
        multiply_adds:
          p.runs.length * (read * (tokenWork(model, context) + head) + prompted * tokenWork(model, context)),
        logits: p.runs.length * (read + p.prompts.length) * model.vocabulary,
      },
      memory: {
        process: 1,
        weights: floats(models * model.parameters),
        logits: floats(models * pass * model.vocabulary),
        prompt_logits: floats(p.prompts.length * model.vocabulary),
        values: floats(rows * model.width),
      },
      artefact_bytes: 100_000,
    };
  },
  retention_days: 30,
});
