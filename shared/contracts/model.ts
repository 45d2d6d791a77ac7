/** How the API names a model, and how the worker describes one to the edge. */
import { z } from 'zod';
import { digestSchema, modelIdSchema } from './manifest.ts';

/** How quantised weights are opened; plain ones take no notice. */
const opening = {
  packed: z
    .boolean()
    .optional()
    .describe('keep weights of 4 and 8 bits packed in memory where the runtime can multiply with them so'),
  activations: z
    .enum(['float32', 'int8'])
    .optional()
    .describe('what packed weights are multiplied with; int8 is faster and coarser. float32 where left out'),
};

/** Folders and Hub endpoints are the worker's configuration: a reference never carries a path, URL or token. */
export const modelReferenceSchema = z.union([
  z.strictObject({ id: modelIdSchema, ...opening }),
  z.strictObject({ local: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/), ...opening }),
  z.strictObject({
    hub: z
      .string()
      .regex(/^[a-z0-9][a-z0-9.-]{0,63}$/)
      .default('huggingface'),
    repo: z.string().regex(/^[A-Za-z0-9._-]{1,96}(\/[A-Za-z0-9._-]{1,96})?$/),
    revision: z.string().min(1).max(200),
    file: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,195}\.gguf$/)
      .optional()
      .describe('the GGUF file to open; needed where a repository holds several and no safetensors'),
    ...opening,
  }),
]);
export type ModelReference = z.infer<typeof modelReferenceSchema>;

/** One spelling per reference, used as a key in the index of known models. */
export const modelKey = (reference: ModelReference): string =>
  'id' in reference
    ? reference.id
    : 'local' in reference
      ? `local:${reference.local}`
      : `hub:${reference.hub}:${reference.repo}@${reference.revision}${reference.file ? `/${reference.file}` : ''}`;

/** How the weights of a model were stored, where they were quantised: they become dense as they are read. */
export const storageSchema = z.strictObject({
  layout: z.string().max(200).describe("such as 'gptq', 'awq gemm' or 'gguf Q4_K, Q6_K'"),
  bits: z.number().nullable().describe('of a weight; null where matrices differ'),
  group: z.number().nullable().describe('inputs that share a scale; null where whole rows do, or matrices differ'),
  bytes: z.number().nonnegative().describe('of the weight files'),
  dense_bytes: z.number().nonnegative().describe('of the same weights as they are computed with'),
  packed: z
    .enum(['float32', 'int8'])
    .nullable()
    .describe('what weights that stay packed are multiplied with; null where all became dense'),
  notices: z
    .array(z.string().max(500))
    .max(32)
    .describe('labels that lie, and what the files ask for that is not done'),
});

/** What a model is for; a job takes models of one task. */
const MODEL_TASKS = ['language', 'ecg', 'image', 'table'] as const;
export type ModelTask = (typeof MODEL_TASKS)[number];

const everyModel = {
  key: z.string().max(400),
  family: z.string().max(40),
  revision: z.string().max(200),
  digest: digestSchema,
  parameters: z.number().int().positive(),
};
/** Language models alone have vocabularies and hook points; `hooks` names every one, such as `resid_post.2`. */
const languageDescriptionSchema = z.strictObject({
  task: z.literal('language').default('language'),
  ...everyModel,
  layers: z.number().int().positive(),
  heads: z.number().int().positive(),
  width: z.number().int().positive(),
  vocabulary: z.number().int().positive(),
  context: z.number().int().positive(),
  hooks: z.array(z.string().max(60)).max(100_000),
  storage: storageSchema.nullable().default(null).describe('null where the weights are stored plain'),
});
const otherDescriptionSchema = z.strictObject({
  task: z.enum(['ecg', 'image', 'table']),
  ...everyModel,
});
/** What the edge knows of a model that a worker has seen. Descriptions from before there were tasks are of language models. */
export const modelDescriptionSchema = z.union([languageDescriptionSchema, otherDescriptionSchema]);
export type LanguageDescription = z.infer<typeof languageDescriptionSchema>;
export type ModelDescription = z.infer<typeof modelDescriptionSchema>;

const shown = {
  key: z.string().describe('mdl_ id, local:alias or hub:name:repository@revision'),
  seen_at: z.string(),
  id: z.string().describe('the name by which requests call it: an alias, an mdl_ id, or repository@commit'),
  object: z.literal('model'),
  created: z.number().int().describe('when a worker saw it last, in seconds since the epoch'),
  owned_by: z.string(),
};

export const modelSchema = z.union([languageDescriptionSchema.extend(shown), otherDescriptionSchema.extend(shown)]);
