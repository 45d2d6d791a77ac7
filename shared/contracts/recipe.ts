/** Recipes: steps that an event starts, each of them one job or, over a list, several. */
import { z } from 'zod';
import { createJobSchema } from './job.ts';
import { randomIdSchema } from './manifest.ts';
import { nameSchema } from './name.ts';

const MOST_STEPS = 20;
export const MOST_JOBS = 256;
/** Characters of a recipe's JSON. */
export const RECIPE_LIMIT = 512 * 1024;

/** A value from elsewhere: `event.revision`, `steps.<step>.result.<field>`, `steps.<step>.artefacts`, `item`. */
const referenceSchema = z.strictObject({ from: z.string().min(1).max(500) });

const stepSchema = z.strictObject({
  id: z.string().regex(/^[a-z][a-z0-9_]{0,39}$/, 'lower-case letters, digits and underscores, a letter first'),
  type: z.string().max(60).describe('a job type'),
  params: z.record(z.string(), z.unknown()).describe('those of the job type; a value may be {"from": "…"}'),
  needs: z
    .array(z.string().max(40))
    .max(MOST_STEPS)
    .default([])
    .describe('steps to wait for, besides those referred to'),
  over: z
    .union([z.array(z.unknown()).min(1).max(MOST_JOBS), referenceSchema])
    .optional()
    .describe('one job per entry, which params call {"from": "item"}; results are gathered in the same order'),
  timeout_s: createJobSchema.shape.timeout_s,
  max_attempts: createJobSchema.shape.max_attempts,
  max_cost: createJobSchema.shape.max_cost,
});
export type Step = z.infer<typeof stepSchema>;

export const recipeBodySchema = z.strictObject({
  description: z.string().max(2000).default(''),
  steps: z.array(stepSchema).min(1).max(MOST_STEPS),
});
export type RecipeBody = z.infer<typeof recipeBodySchema>;

export const recipeSchema = z.object({
  id: randomIdSchema('rcp'),
  name: z.string(),
  version: z.number().int(),
  latest: z.number().int(),
  scopes: z.array(z.string()).describe('what a key must hold to store it or to bind a hook to it'),
  created_at: z.string(),
  ...recipeBodySchema.shape,
});

export const recipeSummarySchema = z.object({
  id: randomIdSchema('rcp'),
  name: z.string(),
  latest: z.number().int(),
  created_at: z.string(),
});

export const createRecipeSchema = recipeBodySchema.extend({ name: nameSchema(100) });
