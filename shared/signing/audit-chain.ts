/** The chain of the audit log: every row carries the digest of the one before. */
import type { AuditEntry } from '../contracts/audit.ts';
import { canonicalJson, sha256Hex } from './digest.ts';

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
    if (row.seq !== seq + 1) {
      return `after row ${seq} comes row ${row.seq}`;
    }
    if (row.previous !== previous) {
      return `row ${row.seq} does not carry the digest of the row before`;
    }
    if ((await auditDigest(row)) !== row.digest) {
      return `row ${row.seq} was changed: its digest is another`;
    }
    [seq, previous] = [row.seq, row.digest];
  }
  return null;
}
