/** `POST /v1/vectors`: a tenant's own directions, as numbers or as a file. */
import { z } from 'zod';
import { randomIdSchema } from '../contracts/manifest.ts';
import { vectorNameSchema, vectorSummarySchema } from '../contracts/vector.ts';
import { hookSchema } from '../jobs/references.ts';
import { requestedModelSchema } from './model-name.ts';

/** Bytes of a file that comes as an artefact. */
export const MOST_FILE_BYTES = 8 * 1024 * 1024;

const file = {
  base64: z.base64().max(1_000_000).optional().describe('the bytes; larger files come as an artefact'),
  artefact: randomIdSchema('art').optional(),
};
const sourceSchema = z
  .discriminatedUnion('format', [
    z.strictObject({ format: z.literal('json'), values: z.array(z.number()).min(1).max(100_000) }),
    z.strictObject({
      format: z.literal('raw'),
      dtype: z.enum(['float32', 'float16', 'bfloat16', 'float64']).default('float32'),
      ...file,
    }),
    z.strictObject({ format: z.literal('npy'), ...file }),
    z.strictObject({
      format: z.literal('safetensors'),
      tensor: z.string().min(1).max(200).optional().describe('needed where the file holds several'),
      ...file,
    }),
    z
      .strictObject({
        format: z.literal('gguf'),
        layers: z.array(z.number().int().min(0)).max(1000).optional(),
        ...file,
      })
      .describe('control vectors of llama.cpp: one vector for each layer, or for these'),
  ])
  .refine((source) => source.format === 'json' || (source.base64 === undefined) !== (source.artefact === undefined), {
    message: 'the bytes come as base64 or as an artefact',
  });
export type VectorSource = z.output<typeof sourceSchema>;

export const vectorUploadSchema = z.strictObject({
  source: sourceSchema,
  model: requestedModelSchema.describe('whose stream the direction lies in'),
  hook: hookSchema.optional().describe('where it lies; control vectors say that themselves'),
  residual_norm: z
    .number()
    .positive()
    .default(1)
    .describe('mean norm of the stream there, in which strengths are counted; 1: strengths are plain numbers'),
  positive_pole: z.string().max(200).default('uploaded'),
  negative_pole: z.string().max(200).nullable().default(null),
  note: z.string().max(1000).optional().describe('where it is from'),
  name: vectorNameSchema.optional().describe('a new name that points to it'),
});
export type VectorUpload = z.output<typeof vectorUploadSchema>;
export const uploadedVectorsSchema = z.object({ data: z.array(vectorSummarySchema) });
