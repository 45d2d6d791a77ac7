/**
 * What the operator does by statements in the database (keys, workers) is noted there and taken into the audit log here: a
 * digest of the row before cannot be computed by a statement.
 */
import type { Env } from '../environment.ts';
import { audited } from './log.ts';

type Row = { id: string; tenant: string; action: string; target: string };
const BATCH = 100;

/** Takes what has been noted into the log, of one tenant or of all. Raises as `audited`. */
export async function takeOperatorEvents(env: Env, tenant: string | null = null): Promise<void> {
  const { results } = await env.DB.prepare(
    `SELECT id, tenant, action, target FROM operator_events WHERE taken = 0 AND (?1 IS NULL OR tenant = ?1)
     ORDER BY at, id LIMIT ${BATCH}`,
  )
    .bind(tenant)
    .all<Row>();
  for (const { id, ...event } of results) {
    const taken = env.DB.prepare('UPDATE operator_events SET taken = taken + 1 WHERE id = ?').bind(id);
    await audited(env, { ...event, actor: 'operator', request_id: null }, [taken]).catch((error: unknown) => {
      // another isolate took it at the same time
      if (!/CHECK constraint failed: taken/.test(String(error))) {
        throw error;
      }
    });
  }
}
