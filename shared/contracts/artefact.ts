/** Artefacts: a tenant's bytes, and what announces them. */
import { z } from 'zod';
import { blobSchema, randomIdSchema } from './manifest.ts';
import { SHARD_LIMIT } from './worker-call.ts';

export const artefactSchema = z.object({
  id: randomIdSchema('art'),
  name: z.string(),
  sha256: z.string(),
  bytes: z.number().int(),
  media_type: z.string(),
  job: z.string().nullable(),
  state: z.enum(['pending', 'stored']),
  created_at: z.string(),
  expires_at: z.string().nullable(),
});

export const artefactGrantSchema = artefactSchema.extend({
  upload: z
    .object({ method: z.literal('PUT'), url: z.string(), expires_at: z.string() })
    .nullable()
    .describe('where to send the bytes; null where the tenant owns them already'),
});

export const announceArtefactSchema = blobSchema.extend({
  bytes: z.number().int().min(0).max(SHARD_LIMIT),
  media_type: z.string().regex(/^[a-z0-9.+-]{1,60}\/[a-z0-9.+-]{1,60}$/, 'a media type without parameters'),
});
