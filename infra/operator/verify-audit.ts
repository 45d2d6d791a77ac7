/**
 * `npm run --silent verify-audit -- URL` with a key of scope audit:read in SEXTANT_API_KEY: reads the whole audit log of
 * the key's tenant and verifies its chain of digests. Exits 1 and says where it breaks.
 */
import { type AuditEntry, auditEntrySchema } from '../../shared/contracts/audit.ts';
import { auditFault } from '../../shared/signing/audit-chain.ts';

/** The whole log over HTTP, oldest first. Raises an Error for an answer that is no page of the log. */
async function readLog(url: string, key: string): Promise<AuditEntry[]> {
  const rows: AuditEntry[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const address = new URL('/v1/audit?limit=100', url);
    if (cursor) {
      address.searchParams.set('cursor', cursor);
    }
    const answer = await fetch(address, { headers: { authorization: `Bearer ${key}` } });
    const body = (await answer.json()) as { data: unknown[]; next_cursor: string | null; detail?: string };
    if (!answer.ok) {
      throw new Error(`${answer.status}: ${body.detail}`);
    }
    rows.push(...auditEntrySchema.array().parse(body.data));
    cursor = body.next_cursor;
  }
  return rows.reverse();
}

if (import.meta.main) {
  const [url] = process.argv.slice(2);
  const key = process.env.SEXTANT_API_KEY;
  if (!url || !key) {
    console.error('usage: SEXTANT_API_KEY=... npm run --silent verify-audit -- URL');
    process.exit(2);
  }
  const rows = await readLog(url, key);
  const fault = await auditFault(rows);
  const last = rows.at(-1);
  const sound = last
    ? `${rows.length} rows, each with the digest of the one before; the last: ${last.digest}`
    : 'no rows';
  console.log(fault ?? sound);
  process.exitCode = fault ? 1 : 0;
}
