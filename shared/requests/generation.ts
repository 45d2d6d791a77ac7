/** `POST /v1/generations`: a small `lm.generate` whose client waits for it or follows it token by token. */
import { z } from 'zod';
import lmGenerate from '../jobs/lm.generate.ts';
import { requestedModelSchema } from './model-name.ts';

export const MOST_PROMPTS = 16;
const MOST_RUNS = 8;
export const MOST_TOKENS = 4096;

const { prompts, runs } = lmGenerate.params.shape;

export const generationRequestSchema = lmGenerate.params.extend({
  model: requestedModelSchema,
  prompts: prompts.max(MOST_PROMPTS, `a request takes at most ${MOST_PROMPTS} prompts; a job of type lm.generate more`),
  runs: z
    .array(runs.unwrap().element)
    .min(1)
    .max(MOST_RUNS, `a request takes at most ${MOST_RUNS} runs; a job of type lm.generate more`)
    .default([{ label: 'plain', vectors: [] }])
    .describe('side by side: each continues all prompts'),
  max_tokens: z
    .number()
    .int()
    .min(1)
    .max(MOST_TOKENS, `a request takes at most ${MOST_TOKENS} tokens; a job of type lm.generate more`)
    .default(64),
  stream: z.boolean().default(false).describe('answer with server-sent events as the text comes'),
  pool: z.string().max(60).optional().describe('the workers that take it'),
});
