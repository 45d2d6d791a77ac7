/** Deleting a whole tenant, in two steps. */
import { z } from 'zod';

export const deleteTenantSchema = z.strictObject({ confirmation: z.string().max(100).optional() });
export const tenantDeletionSchema = z.object({
  confirmation: z.string().describe('send it within 15 minutes'),
  expires_at: z.string(),
  will_go: z.record(z.string(), z.number()).describe('how many of each kind'),
});
