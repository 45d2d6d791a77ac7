/** The audit log: who did what to what, when, and how it ended. Rows hold ids alone, never content, and form a chain of digests. */
import { z } from 'zod';
import { canonicalJson, sha256Hex } from '../signing/digest.ts';
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

export const FIRST_PREVIOUS = '0'.repeat(64);

export const auditDigest = ({ digest: _, ...row }: Omit<AuditEntry, 'digest'> & { digest?: string }): Promise<string> =>
  sha256Hex(canonicalJson(row));

/**
 * What is wrong with a run of rows, oldest first; null where the chain holds. `before` is the row before the first of
 * them, null where the run starts with the log itself.
 */
export async function auditFault(
  rows: readonly AuditEntry[],
  before: AuditEntry | null = null,
): Promise<string | null> {
  let [seq, previous] = before ? [before.seq, before.digest] : [0, FIRST_PREVIOUS];
  for (const row of rows) {
    if (row.seq !== seq + 1) return `after row ${seq} comes row ${row.seq}`;
    if (row.previous !== previous) return `row ${row.seq} does not carry the digest of the row before`;
    if ((await auditDigest(row)) !== row.digest) return `row ${row.seq} was changed: its digest is another`;
    [seq, previous] = [row.seq, row.digest];
  }
  return null;
}
