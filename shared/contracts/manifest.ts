/**
 * Published results are immutable; the id is the digest of their manifest, so that the same work has the same id.
 * Device, timing and software versions belong to the job that made a result, never to its manifest.
 */
import { z } from 'zod';
import { nameSchema } from './name.ts';

export const digestSchema = z.string().regex(/^[0-9a-f]{64}$/, 'a sha-256 digest: 64 lower-case hexadecimal digits');
export const dtypeSchema = z.enum(['float32', 'float16', 'bfloat16', 'float64']);
/** Seeds are integers below 2^53. */
export const seedSchema = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

export const PUBLISHED_PREFIXES = { model: 'mdl', sae: 'sae', vector: 'vec', report: 'rep', predictor: 'prd' } as const;
export type PublishedKind = keyof typeof PUBLISHED_PREFIXES;

const idOf = (prefix: string) =>
  z.string().regex(new RegExp(`^${prefix}_[a-z2-7]{52}$`), `an id that starts with ${prefix}_`);
export const modelIdSchema = idOf('mdl');
export const saeIdSchema = idOf('sae');
export const vectorIdSchema = idOf('vec');
export const reportIdSchema = idOf('rep');
export const predictorIdSchema = idOf('prd');

/** Random ids (not manifested): jobs, runs, recipes, hooks, endpoints, events, keys, workers, uploaded artefacts. */
export const randomIdSchema = (
  prefix: 'job' | 'evt' | 'key' | 'wkr' | 'art' | 'dsp' | 'run' | 'rcp' | 'inh' | 'dlv' | 'whe',
) => z.string().regex(new RegExp(`^${prefix}_[a-z2-7]{26}$`), `an id that starts with ${prefix}_`);

/** A blob that a manifest names: `name` is unique in the manifest, bytes are addressed by digest. */
export const blobSchema = z.strictObject({
  name: nameSchema(200),
  sha256: digestSchema,
  bytes: z.number().int().nonnegative(),
  media_type: z.string().max(100),
});
export type Blob = z.infer<typeof blobSchema>;

/** What every manifest holds; each kind adds its own `body`. */
export const manifestSchema = z.strictObject({
  kind: z.enum(['model', 'sae', 'vector', 'report', 'predictor']),
  schema: z.literal(1),
  method: z.string().max(100),
  params: z.record(z.string(), z.unknown()),
  seed: seedSchema.nullable(),
  /** Model id (`mdl_...`) or null where no model is involved. */
  model: z.string().nullable(),
  /** Digest of the model's weights and config, so that an equal model under another name is recognised. */
  model_digest: digestSchema.nullable(),
  hook: z.string().nullable(),
  data_digest: digestSchema.nullable(),
  blobs: z.array(blobSchema).max(4096),
  body: z.record(z.string(), z.unknown()),
});
export type Manifest = z.infer<typeof manifestSchema>;

/** What the API shows of a published result, for kinds that have no view of their own. */
const publishedSchema = <I extends z.ZodType>(id: I) =>
  manifestSchema.extend({ id, job: z.string().nullable(), created_at: z.string() });
export const saeSchema = publishedSchema(saeIdSchema);
export const reportSchema = publishedSchema(reportIdSchema);
export const predictorSchema = publishedSchema(predictorIdSchema);
