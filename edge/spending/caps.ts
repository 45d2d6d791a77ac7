/** How many device seconds a tenant and a key may take each day (UTC); infinity where nothing was set. */
import type { Env } from '../environment.ts';

export type Caps = { tenant: number; key: number };

/** The caps as they stand now. */
export async function readCaps(env: Env, tenant: string, key: string): Promise<Caps> {
  const row = await env.DB.prepare(
    `SELECT (SELECT device_seconds_per_day FROM spending_caps WHERE tenant = ?1) AS tenant,
       (SELECT limits ->> 'device_seconds_per_day' FROM keys WHERE id = ?2) AS key`,
  )
    .bind(tenant, key)
    .first<{ tenant: number | null; key: number | null }>();
  return { tenant: row?.tenant ?? Infinity, key: row?.key ?? Infinity };
}

/** Sets the tenant's cap, or lifts it. */
export const capStatement = (env: Env, tenant: string, cap: number | null): D1PreparedStatement =>
  cap === null
    ? env.DB.prepare('DELETE FROM spending_caps WHERE tenant = ?').bind(tenant)
    : env.DB.prepare(
        'INSERT INTO spending_caps VALUES (?1, ?2) ON CONFLICT DO UPDATE SET device_seconds_per_day = ?2',
      ).bind(tenant, cap);
