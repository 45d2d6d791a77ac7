/** How many device seconds a tenant and a key may take each day (UTC); infinity where nothing was set. */
import type { Env } from '../environment.ts';

export type Caps = { tenant: number; key: number };

/** The caps as they stand now. */
export async function readCaps(env: Env, tenant: string, key: string): Promise<Caps> {
  const [ofTenant, ofKey] = await env.DB.batch<{ cap: number | null }>([
    env.DB.prepare('SELECT device_seconds_per_day AS cap FROM spending_caps WHERE tenant = ?').bind(tenant),
    env.DB.prepare("SELECT limits ->> 'device_seconds_per_day' AS cap FROM keys WHERE id = ?").bind(key),
  ]);
  return { tenant: ofTenant?.results[0]?.cap ?? Infinity, key: ofKey?.results[0]?.cap ?? Infinity };
}

/** Sets the tenant's cap, or lifts it. */
export const capStatement = (env: Env, tenant: string, cap: number | null): D1PreparedStatement =>
  cap === null
    ? env.DB.prepare('DELETE FROM spending_caps WHERE tenant = ?').bind(tenant)
    : env.DB.prepare(
        'INSERT INTO spending_caps VALUES (?1, ?2) ON CONFLICT DO UPDATE SET device_seconds_per_day = ?2',
      ).bind(tenant, cap);
