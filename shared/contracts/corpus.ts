/** Where a job takes its text from; always resolved to a data digest that the result states. */
import { z } from 'zod';
import { longArray } from './long-array.ts';
import { randomIdSchema, seedSchema } from './manifest.ts';

const plantedCorpusSchema = z
  .strictObject({ planted: z.strictObject({ seed: seedSchema.default(0) }) })
  .describe('the generated language whose latent axes are known');
const sampledCorpusSchema = z
  .strictObject({
    sampled: z.strictObject({ seed: seedSchema.default(0), temperature: z.number().min(0.05).max(5).default(1) }),
  })
  .describe("the model's own samples, started from its beginning-of-sequence token");
const textsCorpusSchema = z
  .strictObject({ texts: longArray(z.string().min(1).max(100_000)).min(1).max(10_000) })
  .describe('documents, in the request itself');
const artefactCorpusSchema = z
  .strictObject({
    artefact: randomIdSchema('art'),
    format: z.enum(['text', 'jsonl']).default('jsonl'),
    field: z.string().min(1).max(100).default('text').describe('the field of each JSON line that holds the document'),
  })
  .describe('an uploaded file: one document per blank-line-separated paragraph (text) or per line (jsonl)');
const localCorpusSchema = z
  .strictObject({ local: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/) })
  .describe("a corpus alias of the worker's configuration");

export const corpusSchema = z.union([
  plantedCorpusSchema,
  sampledCorpusSchema,
  textsCorpusSchema,
  artefactCorpusSchema,
  localCorpusSchema,
]);
export type Corpus = z.infer<typeof corpusSchema>;
