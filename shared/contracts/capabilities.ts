/** What a deployment says of itself. */
import { z } from 'zod';

export const capabilitiesSchema = z.object({
  job_types: z.array(
    z.object({
      type: z.string(),
      summary: z.string(),
      version: z.number(),
      scope: z.string(),
      produces: z.array(z.string()),
    }),
  ),
  vectors: z.object({ formats: z.array(z.string()), dtypes: z.array(z.string()), batch: z.number() }),
  scopes: z.array(z.string()),
  limits: z.object({
    json_bytes: z.number(),
    table_bytes: z.number(),
    json_depth: z.number(),
    shard_bytes: z.number(),
    page: z.number(),
    reads_per_minute: z.number(),
    writes_per_minute: z.number(),
    jobs_per_minute: z.number(),
  }),
});

export const healthSchema = z.object({ status: z.literal('ok') });
/** What the `type` of a problem leads to. */
export const problemTypeSchema = z.object({ code: z.string(), status: z.number(), title: z.string() });
