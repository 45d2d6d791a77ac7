/** API keys as their tenant sees them. */
import { z } from 'zod';
import { randomIdSchema } from './manifest.ts';
import { nameSchema } from './name.ts';
import { scopeSchema } from './scope.ts';

export const keySchema = z.object({
  id: randomIdSchema('key'),
  name: z.string(),
  prefix: z.string().describe("the key's visible part"),
  scopes: z.array(z.string()),
  device_seconds_per_day: z.number().nullable().describe('what its jobs may take each day (UTC); null without a cap'),
  created_at: z.string(),
  expires_at: z.string().nullable(),
  revoked_at: z.string().nullable(),
});

export const newKeySchema = keySchema.extend({
  key: z.string().nullable().describe("the key's text, shown this once: null in the repeat of an answer"),
});

export const createKeySchema = z.strictObject({
  name: nameSchema(100),
  scopes: z.array(scopeSchema).min(1).max(50).describe("at most the calling key's own"),
  expires_in_s: z.number().int().min(1).max(315_360_000).optional(),
  device_seconds_per_day: z
    .number()
    .min(0)
    .optional()
    .describe("a cap on what its jobs may take each day (UTC); the calling key's own unless lower"),
});
