/** What the two refusal jobs have in common: how they find a direction and how they measure refusal. */
import { z } from 'zod';
import { corpusSchema } from './corpus.ts';
import { seedSchema } from './manifest.ts';
import { modelReferenceSchema } from './model.ts';
import { promptSourceSchema, REFUSAL_PHRASES, templateSchema } from './prompts.ts';

const number = z.number();
/** Fewest directions that say where the central 95 % of chance lies. */
const FEWEST_RANDOM = 39;

const thresholdsSchema = z.strictObject({
  depth: z.number().positive().max(1).default(0.8).describe('candidates from floor(depth * layers) on are dropped'),
  kl: z.number().positive().max(1000).default(0.1).describe('largest divergence that ablation may cause, nats'),
  induce: z.number().min(-1000).max(1000).default(0).describe('smallest refusal score that addition must reach'),
});

export const refusalInputs = {
  model: modelReferenceSchema.describe('the base model'),
  harmful: promptSourceSchema,
  harmless: promptSourceSchema,
  shares: z
    .strictObject({ train: z.number().positive(), validation: z.number().positive(), test: z.number().positive() })
    .default({ train: 0.5, validation: 0.2, test: 0.3 })
    .describe('of the prompts in each split, where the prompts do not say it themselves'),
  template: templateSchema.default('chat'),
  positions: z
    .array(z.number().int().min(-16).max(-1))
    .min(1)
    .max(16)
    .nullable()
    .default(null)
    .describe('counted from the end of a prompt; null: the tokens that the template adds after the text'),
  refusal_tokens: z
    .array(z.string().min(1).max(100))
    .min(1)
    .max(64)
    .describe('single tokens that open a refusal after this template; the base model must use them'),
  phrases: z
    .array(z.string().min(1).max(200))
    .min(1)
    .max(200)
    .default([...REFUSAL_PHRASES]),
  filter: z
    .boolean()
    .default(true)
    .describe('learn from harmful prompts that the base model refuses and harmless ones that it does not'),
  thresholds: thresholdsSchema.default({ depth: 0.8, kl: 0.1, induce: 0 }),
  rule: z
    .enum(['thresholds', 'lowest_bypass'])
    .default('thresholds')
    .describe('the lowest bypass among candidates within the thresholds, or among all'),
  random_directions: z.number().int().min(FEWEST_RANDOM).max(1000).default(FEWEST_RANDOM),
  max_tokens: z.number().int().min(1).max(4096).default(64).describe('of an answer'),
  corpus: corpusSchema.nullable().default(null).describe('unrelated text for the loss; null: none'),
  tokens: z.number().int().min(2).max(1_000_000).default(4096).describe('of that text'),
  context: z.number().int().min(2).max(8192).default(128),
  seed: seedSchema.default(0),
};

export const intervalSchema = z.object({
  value: number,
  low: number.nullable(),
  high: number.nullable().describe('of a 95 % bootstrap interval over prompts; null for a single prompt'),
});
export const sourceSchema = z.object({
  position: number.describe('token, counted from the end of the prompt'),
  layer: number.describe('block that the stream enters'),
});
export const qualitySchema = z.object({
  bypass: number.describe('mean refusal score of harmful prompts with the direction ablated'),
  induce: number.describe('mean refusal score of harmless prompts with the raw direction added'),
  kl: number.describe('divergence that ablation causes on harmless prompts, nats'),
});
export const candidateSchema = sourceSchema.extend({ norm: number, ...qualitySchema.shape });

export const behaviourSchema = z.object({
  refusal: intervalSchema.describe('share of harmful prompts whose most likely next token opens a refusal'),
  refusal_score: intervalSchema.describe('mean log-odds of the refusal tokens on harmful prompts'),
  refusal_phrases: intervalSchema.describe('share of harmful prompts whose answer holds a phrase of refusal'),
  over_refusal: intervalSchema.describe('the same share of harmless prompts, by the next token'),
  over_refusal_score: intervalSchema,
  over_refusal_phrases: intervalSchema,
  answers: intervalSchema
    .nullable()
    .describe('share of harmless prompts answered rightly; null where no answer is known'),
  loss: number.nullable().describe('on unrelated text, nats per token'),
});
export type Behaviour = z.infer<typeof behaviourSchema>;

export const bandSchema = z.object({
  low: number,
  high: number.describe('central 95 % of the random directions'),
  mean: number,
  directions: number,
});
