/** The delivery queues in the database: what waits, for the operator's counters, and which there are, for a tenant's deletion. */
import type { Env } from '../environment.ts';

/** Lists the queue of an address that a single job named: nothing else knows of it. */
export async function listAddressQueue(env: Env, name: string, tenant: string): Promise<void> {
  await env.DB.prepare('INSERT OR IGNORE INTO delivery_queues VALUES (?, ?, 0, NULL)').bind(name, tenant).run();
}

/** Notes what waits in a queue; one in which nothing does costs no row. */
export async function noteWaiting(
  env: Env,
  { name, tenant, waiting, oldest }: { name: string; tenant: string; waiting: number; oldest: number | null },
): Promise<void> {
  const statement =
    waiting === 0
      ? env.DB.prepare('UPDATE delivery_queues SET waiting = 0, oldest = NULL WHERE name = ? AND waiting <> 0').bind(
          name,
        )
      : env.DB.prepare(
          `INSERT INTO delivery_queues VALUES (?1, ?2, ?3, ?4)
           ON CONFLICT DO UPDATE SET waiting = excluded.waiting, oldest = excluded.oldest`,
        ).bind(name, tenant, waiting, oldest);
  await statement.run();
}

export const unlistQueue = (env: Env, name: string): D1PreparedStatement =>
  env.DB.prepare('DELETE FROM delivery_queues WHERE name = ?').bind(name);

/** Deliveries that wait over all queues, and when the oldest came. */
export async function deliveriesWaiting(env: Env): Promise<{ waiting: number; oldest: number | null }> {
  const row = await env.DB.prepare(
    'SELECT coalesce(sum(waiting), 0) AS waiting, min(oldest) AS oldest FROM delivery_queues WHERE waiting > 0',
  ).first<{ waiting: number; oldest: number | null }>();
  return row ?? { waiting: 0, oldest: null };
}
