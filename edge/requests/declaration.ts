/** Headers of requests that are jobs underneath. */
import { z } from '@hono/zod-openapi';

export const requestHeaders = z.object({
  'idempotency-key': z.string().max(255).optional().describe('a repeat creates nothing new'),
  prefer: z
    .string()
    .max(200)
    .optional()
    .describe('wait=n: answer 200 as soon as the job ends, at most n <= 60 s later'),
  'last-event-id': z.string().max(20).optional().describe('of a stream that broke off: events after this one'),
});
