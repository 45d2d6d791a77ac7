/** A steering vector: what its manifest's `body` holds and what the API shows of it. */
import { z } from 'zod';
import { dtypeSchema, vectorIdSchema } from './manifest.ts';
import { nameSchema } from './name.ts';

/** `effect` is measured at `strength`; both belong to the sign convention `positive_pole`. */
export const vectorBodySchema = z.strictObject({
  width: z.number().int().positive(),
  dtype: z.literal('float32'),
  /** Mean norm of the residual stream at the hook; strengths are multiples of it. */
  residual_norm: z.number().positive(),
  positive_pole: z.string().max(200),
  negative_pole: z.string().max(200).nullable(),
  strength: z.number().nullable().describe('calibrated strength, in units of residual_norm'),
  effect: z.record(z.string(), z.unknown()).describe('what was measured at `strength`'),
  calibration: z.array(z.record(z.string(), z.unknown())).max(1000).describe('the curve the strength was chosen from'),
  provenance: z.record(z.string(), z.unknown()),
});
export type VectorBody = z.infer<typeof vectorBodySchema>;

/**
 * How a vector steers: `proj_unit` scales the part along it by 1 + strength, `proj_raw` by 1 + strength times its squared
 * norm, `add` adds it.
 */
export const STEERING_MODES = ['proj_unit', 'proj_raw', 'add'] as const;
export type SteeringMode = (typeof STEERING_MODES)[number];

export const VECTOR_FORMATS = ['raw', 'json', 'safetensors', 'npy'] as const;
export const vectorFormatSchema = z.enum(VECTOR_FORMATS);
export type VectorFormat = (typeof VECTOR_FORMATS)[number];
export const vectorDtypeSchema = dtypeSchema.extract(['float32', 'float16']);
export type VectorDtype = z.infer<typeof vectorDtypeSchema>;

export const vectorNameSchema = nameSchema(200);
/** A vector by its id, or by a name that becomes the id when the request is taken. */
export const vectorReferenceSchema = z.union([vectorIdSchema, z.strictObject({ name: vectorNameSchema })]);
export type VectorReference = z.infer<typeof vectorReferenceSchema>;
export const vectorPointerSchema = z.strictObject({ id: vectorIdSchema });
/** Name of the blob that holds the unit-norm values: raw little-endian float32, `width` of them. */
export const VECTOR_BLOB = 'values.f32';

export const vectorSchema = vectorBodySchema.extend({
  id: vectorIdSchema,
  model: z.string().nullable(),
  model_digest: z.string().nullable(),
  hook: z.string().nullable(),
  method: z.string(),
  params: z.record(z.string(), z.unknown()),
  seed: z.number().nullable(),
  data_digest: z.string().nullable(),
  values_sha256: z.string().describe('digest of the raw float32 values'),
  job: z.string().nullable(),
  created_at: z.string(),
});

export const vectorValuesSchema = vectorSchema
  .omit({ dtype: true })
  .extend({ dtype: vectorDtypeSchema, values: z.array(z.number()).describe('unit norm') });

export const vectorSummarySchema = z.object({
  id: vectorIdSchema,
  model: z.string().nullable(),
  hook: z.string().nullable(),
  method: z.string(),
  width: z.number(),
  positive_pole: z.string(),
  negative_pole: z.string().nullable(),
  strength: z.number().nullable(),
  created_at: z.string(),
});

export const vectorBatchRequestSchema = z.strictObject({
  ids: z.array(vectorIdSchema).min(1).max(100),
  format: z.enum(['json', 'safetensors']).default('json'),
  dtype: vectorDtypeSchema.default('float32'),
});

export const vectorBatchSchema = z.object({
  data: z.array(vectorValuesSchema).describe('in the order asked for'),
  missing: z.array(vectorIdSchema).describe('ids that name no vector of this tenant'),
});

export const vectorNameRowSchema = z.object({
  name: vectorNameSchema,
  id: vectorIdSchema,
  version: z.number().int().describe('the ETag, for If-Match'),
  created_at: z.string(),
  updated_at: z.string(),
});
