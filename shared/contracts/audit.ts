/** The audit log: who did what to what, when, and how it ended. Rows hold ids alone, never content, and form a chain of digests. */
import { z } from 'zod';
import { digestSchema } from './manifest.ts';

export const auditEntrySchema = z.object({
  tenant: z.string(),
  seq: z.number().int().positive().describe('counts from 1 without gaps'),
  at: z.string(),
  actor: z.string().describe('the key, or `service` for what time alone brought about'),
  action: z.string().describe('object.verb, such as key.create'),
  target: z.string().describe('id of what it was done to'),
  request_id: z.string().nullable(),
  outcome: z.string().describe('`done`, or the problem code of a refusal'),
  previous: digestSchema.describe('digest of the row before; 64 zeros for the first'),
  digest: digestSchema.describe('sha-256 of the canonical JSON (RFC 8785) of this row without this field'),
});
export type AuditEntry = z.infer<typeof auditEntrySchema>;
