/** A delivery tried on a recipe without starting anything. */
import { z } from 'zod';
import { inboundEventSchema, providerSchema } from './inbound.ts';
import { randomIdSchema } from './manifest.ts';

/** A payload as a provider sends it, with the headers that say what it is, read as a hook with these terms would. */
export const dryRunRequestSchema = z.strictObject({
  version: z.number().int().min(1).optional(),
  hook: randomIdSchema('inh').optional().describe('takes provider, repositories, ref and pointers from this hook'),
  provider: providerSchema.optional(),
  repositories: z.array(z.string().max(200)).max(100).default([]),
  ref: z.string().max(300).default('refs/heads/main'),
  pointers: z
    .strictObject({
      repository: z.string().max(300).nullable().default(null),
      revision: z.string().max(300).nullable().default(null),
    })
    .default({ repository: null, revision: null }),
  headers: z.record(z.string().max(100), z.string().max(1000)).default({}).describe('such as X-GitHub-Event'),
  payload: z.record(z.string(), z.unknown()),
});

export const dryRunSchema = z.object({
  event: inboundEventSchema.nullable(),
  ignored: z.object({ code: z.string(), detail: z.string() }).nullable(),
  version: z.number().int(),
  jobs: z.array(
    z.object({
      step: z.string(),
      type: z.string(),
      needs: z.array(z.string()),
      params: z.record(z.string(), z.unknown()).describe('values that earlier steps will give are left as references'),
      estimate: z
        .object({ device_seconds: z.number(), memory_bytes: z.number(), artefact_bytes: z.number() })
        .nullable()
        .describe('null while it depends on what earlier steps give'),
      error: z.object({ code: z.string(), detail: z.string() }).nullable(),
    }),
  ),
  device_seconds: z.number().describe('sum of the known estimates'),
});
export type DryRun = z.infer<typeof dryRunSchema>;
export type DryRunRequest = z.infer<typeof dryRunRequestSchema>;
