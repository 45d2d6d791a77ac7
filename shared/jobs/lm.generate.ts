/** `lm.generate`: continuations of prompts, plain and steered, with the log-probability of every token. */
import { z } from 'zod';
import { seedSchema } from '../contracts/manifest.ts';
import { modelReferenceSchema } from '../contracts/model.ts';

import { clampedLatentSchema, placesSchema, steeredVectorSchema } from '../contracts/steering.ts';

import { alternativeSchema, FINISHES } from '../contracts/token-piece.ts';

import { defineJob } from './contract.ts';
import { floats, textTokens, tokenWork } from './costs.ts';
import { EXAMPLE } from './example-ids.ts';
import { steeringSchema } from './lm.evaluate.ts';
import { distinctLabels, modelInput, steeringHooks, steeringInputs, vectorUses } from './references.ts';

/** Prompts that are continued at a time. */
const ROWS = 32;
const messageSchema = z.strictObject({ role: z.string().min(1).max(40), content: z.string().max(100_000) });

const promptCharacters = (prompt: string | z.infer<typeof messageSchema>[]): number =>
  typeof prompt === 'string' ? prompt.length : prompt.reduce((sum, { content }) => sum + content.length, 0);

const at = placesSchema.optional().describe('in place of `steer`');
/** One way to generate: as to evaluate, and where in the text. */
const placedSteeringSchema = steeringSchema.extend({
  vectors: z.array(steeredVectorSchema.extend({ at })).max(16).default([]),
  latents: z
    .array(clampedLatentSchema.extend({ at }))
    .max(16)
    .optional()
    .describe('latents of SAEs that are held at a value'),
});

export default defineJob({
  type: 'lm.generate',
  summary: 'Generate text with a language model, plain and steered',
  version: 1,
  scope: 'jobs:write',
  example: { model: EXAMPLE.model, prompts: ['the weather is'], max_tokens: 16 },
  params: z.strictObject({
    model: modelReferenceSchema,
    prompts: z
      .array(z.union([z.string().max(100_000), z.array(messageSchema).min(1).max(200)]))
      .min(1)
      .max(1000)
      .describe("texts, or conversations for the model's own chat template"),
    max_tokens: z.number().int().min(1).max(100_000).default(64),
    temperature: z.number().min(0).max(10).default(0).describe('0: the most likely token'),
    top_k: z.number().int().min(1).nullable().default(null),
    top_p: z.number().positive().max(1).nullable().default(null),
    repetition_penalty: z.number().positive().max(10).default(1),
    stop: z.array(z.string().min(1).max(200)).max(16).default([]),
    runs: z
      .array(placedSteeringSchema)
      .min(1)
      .max(64)
      .superRefine(distinctLabels)
      .default([{ label: 'plain', vectors: [] }]),
    steer: z.enum(['all', 'prompt', 'generated']).default('all').describe('positions that are steered'),
    allow_mismatch: z.boolean().default(false).describe('apply a vector to another model or hook than its own'),
    alternatives: z
      .number()
      .int()
      .min(0)
      .max(20)
      .nullable()
      .default(null)
      .describe('so many of the likeliest tokens are told at each place, with the text of each token; null: neither'),
    seed: seedSchema.default(0),
  }),
  result: z.object({
    runs: z.array(
      z.object({
        label: z.string(),
        texts: z.array(
          z.object({
            text: z.string(),
            tokens: z.array(z.number()),
            log_probabilities: z
              .array(z.number())
              .describe('natural logarithm, of each token under the model at temperature 1'),
            finish: z.enum(FINISHES),
            token_texts: z.array(z.string()).optional().describe('where alternatives were asked for'),
            alternatives: z.array(z.array(alternativeSchema)).optional().describe('the likeliest first'),
          }),
        ),
      }),
    ),
    tokens: z.number(),
    texts_file: z
      .string()
      .nullable()
      .describe(
        'where the texts do not all fit into a result: the artefact of JSON lines that holds each with `run` and `prompt`, their places; above stand as many of the first as fit',
      ),
    prompt_tokens: z.array(z.number()).describe('of each prompt'),
    publisher_settings: z
      .record(z.string(), z.unknown())
      .describe(
        "what the model's generation_config.json asks for besides its end tokens, which apply; ask for it in params",
      ),
  }),
  progress: { runs: 'runs done', prompts: 'prompts done in the current run' },
  produces: [],
  models: (p) => [
    { reference: p.model, pointer: '/model', hooks: p.runs.flatMap((run, i) => steeringHooks(run, `/runs/${i}`)) },
  ],
  inputs: (p) => [...modelInput(p.model), ...p.runs.flatMap((run, i) => steeringInputs(run, `/runs/${i}`))],
  vectors: (p) => p.runs.flatMap((run, i) => vectorUses(run, `/runs/${i}`)),
  work(p, model) {
    const lengths = p.prompts.map((prompt) => textTokens(promptCharacters(prompt), model));
    const prompted = lengths.reduce((sum, length) => sum + length, 0);
    const rows = Math.min(p.prompts.length, ROWS);
    const longest = Math.min(model.context, Math.max(...lengths) + p.max_tokens);
    const tokens = p.prompts.length * p.max_tokens;
    const steps = Math.ceil(p.prompts.length / ROWS) * p.max_tokens;
    return {
      seconds: {
        start: 1,
        weights_loaded: model.parameters,
        prompt_multiply_adds: p.runs.length * prompted * tokenWork(model, longest),
        multiply_adds: p.runs.length * tokens * (tokenWork(model, longest) + model.vocabulary * model.width),
        layers_stepped: p.runs.length * steps * model.layers,
        logits: p.runs.length * tokens * model.vocabulary,
      },
      memory: {
        process: 1,
        weights: floats(model.parameters),
        cache: floats(2 * rows * longest * model.layers * model.width),
        logits: floats(rows * model.vocabulary),
        prompt_values: floats(rows * Math.max(...lengths) * model.width),
      },
      artefact_bytes: 40 * p.runs.length * tokens,
    };
  },
  interactive: {
    largest: { rows: 16, tokens: 2048, prompt_characters: 64_000 },
    of: (p) => ({
      rows: p.prompts.length * p.runs.length,
      tokens: p.prompts.length * p.runs.length * p.max_tokens,
      prompt_characters: p.prompts.reduce((sum, prompt) => sum + promptCharacters(prompt), 0),
    }),
  },
  retention_days: 30,
});
