/** Tasks that circuits are found for: pairs of prompts between which one answer changes. */
import { z } from 'zod';
import { randomIdSchema, seedSchema } from './manifest.ts';

const formatSchema = z
  .enum(['jsonl', 'csv'])
  .default('jsonl')
  .describe(
    'jsonl: clean, corrupted, answer, other (or clean_prefix, patch_prefix, clean_answer, patch_answer, case); ' +
      'csv: clean, corrupted, correct_idx, incorrect_idx',
  );
const generatedSchema = {
  pairs: z.number().int().min(2).max(20_000).default(120),
  seed: seedSchema.default(0),
};
const writtenSchema = z.strictObject({
  clean: z.union([z.string().min(1).max(20_000), z.array(z.number().int().min(0)).min(1).max(8192)]),
  corrupted: z.union([z.string().min(1).max(20_000), z.array(z.number().int().min(0)).min(1).max(8192)]),
  answer: z
    .array(z.union([z.string().min(1).max(200), z.number().int().min(0)]))
    .min(1)
    .max(1000),
  other: z
    .array(z.union([z.string().min(1).max(200), z.number().int().min(0)]))
    .min(1)
    .max(1000),
  template: z.string().max(200).nullable().default(null),
  positions: z.record(z.string().max(40), z.number().int()).default({}),
});

export const circuitTaskSchema = z.union([
  z.strictObject({ artefact: randomIdSchema('art'), format: formatSchema }).describe('an uploaded file'),
  z
    .strictObject({ local: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/), format: formatSchema })
    .describe("a corpus alias of the worker's configuration"),
  z.strictObject({ pairs: z.array(writtenSchema).min(2).max(5000) }).describe('in the request itself'),
  z
    .strictObject({
      ioi: z.strictObject({
        ...generatedSchema,
        corruption: z
          .enum(['abc', 's2_io', 'io', 's', 'order'])
          .default('abc')
          .describe('abc: three new names; s2_io: the answer repeated; io, s: a new name there; order: exchanged'),
      }),
    })
    .describe('indirect object identification, 15 templates in both orders'),
  z.strictObject({ greater_than: z.strictObject(generatedSchema) }).describe('years after a year'),
]);
export type CircuitTask = z.infer<typeof circuitTaskSchema>;

export const labelSetSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('clean') }),
    z.strictObject({ kind: z.literal('sd') }),
    z.strictObject({ kind: z.literal('nm') }),
    z.strictObject({ kind: z.literal('mix'), share: z.number().min(0).max(1) }),
  ])
  .describe('clean: the answers; sd: the others; nm: answers of other pairs; mix: the others in a share of the pairs');
