/**
 * Appends to the audit log. The row goes into the same transaction as the change that it tells of, so that there is never
 * one without the other; two writers that took the same place are told apart by the primary key, and the later one tries
 * again behind the earlier.
 */
import type { AuditEntry } from '../../shared/contracts/audit.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { auditDigest, FIRST_PREVIOUS } from '../../shared/signing/audit-chain.ts';
import type { Env } from '../environment.ts';

export type AuditEvent = {
  tenant: string;
  /** Id of the key; `service` where nobody asked. */
  actor: string;
  /** object.verb */
  action: string;
  /** Id of what it was done to: never content, and no name that somebody chose. */
  target: string;
  request_id: string | null;
  /** `done` unless said otherwise. */
  outcome?: string;
};
type AuditRow = Omit<AuditEntry, 'at'> & { at: number };

const TRIES = 100;

const auditEntry = ({ at, ...row }: AuditRow): AuditEntry => ({ ...row, at: new Date(at).toISOString() });

/** Appends the event together with `changes`, in one transaction; answers their results. Raises `unavailable`. */
export async function audited(
  env: Env,
  event: AuditEvent,
  changes: readonly D1PreparedStatement[] = [],
): Promise<D1Result[]> {
  for (let tries = 1; ; tries += 1) {
    const last = await env.DB.prepare('SELECT seq, digest FROM audit WHERE tenant = ? ORDER BY seq DESC LIMIT 1')
      .bind(event.tenant)
      .first<{ seq: number; digest: string }>();
    const statement = await insertion(env, event, last ?? { seq: 0, digest: FIRST_PREVIOUS });
    try {
      return (await env.DB.batch([statement, ...changes])).slice(1);
    } catch (error) {
      if (!/UNIQUE constraint failed: audit\./.test(String(error))) {
        throw error;
      }
      if (tries === TRIES) {
        throw new SextantError('unavailable', 'too many changes at once; ask again', { cause: error });
      }
      await scheduler.wait(Math.random() * 20 * Math.min(tries, 10));
    }
  }
}

async function insertion(
  env: Env,
  { tenant, actor, action, target, request_id, outcome = 'done' }: AuditEvent,
  last: { seq: number; digest: string },
): Promise<D1PreparedStatement> {
  const at = Date.now();
  const row = { tenant, seq: last.seq + 1, at, actor, action, target, request_id, outcome, previous: last.digest };
  const digest = await auditDigest({ ...row, at: new Date(at).toISOString() });
  return env.DB.prepare('INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)').bind(
    tenant,
    row.seq,
    at,
    actor,
    action,
    target,
    request_id,
    outcome,
    last.digest,
    digest,
  );
}

/** Up to `limit` rows of the tenant below `before`, newest first. */
export async function readAudit(
  env: Env,
  of: { tenant: string; before: number; limit: number; action: string | null; actor: string | null },
): Promise<AuditEntry[]> {
  const { results } = await env.DB.prepare(
    `SELECT * FROM audit WHERE tenant = ?1 AND seq < ?2 AND (?3 IS NULL OR action = ?3) AND (?4 IS NULL OR actor = ?4)
     ORDER BY seq DESC LIMIT ?5`,
  )
    .bind(of.tenant, of.before, of.action, of.actor, of.limit)
    .all<AuditRow>();
  return results.map(auditEntry);
}
