/** A tenant's secret for the webhooks that single jobs name: it follows from the deployment's key until it is rotated. */
import type { Env } from '../environment.ts';
import { live, rotated, type SealedSecret, seal, unseal } from '../keys/sealed.ts';
import { newSecret } from './signer.ts';

const holderOf = (tenant: string): string => `webhook-secret:${tenant}`;

async function derived(env: Env, tenant: string): Promise<string> {
  const bytes = new TextEncoder().encode(env.WEBHOOK_KEY);
  const key = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  const mac = await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(`webhook:${tenant}`));
  return `whsec_${btoa(String.fromCharCode(...new Uint8Array(mac)))}`;
}

async function stored(env: Env, tenant: string): Promise<SealedSecret[] | null> {
  const row = await env.DB.prepare('SELECT secrets FROM webhook_secrets WHERE tenant = ?')
    .bind(tenant)
    .first<{ secrets: string }>();
  return row && (JSON.parse(row.secrets) as SealedSecret[]);
}

/** Those that count now, newest first. */
export async function tenantSecrets(env: Env, tenant: string): Promise<string[]> {
  const secrets = await stored(env, tenant);
  if (!secrets) {
    return [await derived(env, tenant)];
  }
  return Promise.all(live(secrets, Date.now()).map(({ sealed }) => unseal(env, holderOf(tenant), sealed)));
}

/** Makes a new secret; the one before signs as well for `overlap_ms`. The statement stores it. */
export async function rotateTenantSecret(
  env: Env,
  tenant: string,
  overlap_ms: number,
): Promise<{ secret: string; statement: D1PreparedStatement }> {
  const now = Date.now();
  const secret = await newSecret('v1');
  const sealing = async (text: string): Promise<SealedSecret> => ({
    sealed: await seal(env, holderOf(tenant), text),
    created_at: now,
    expires_at: null,
  });
  const before = (await stored(env, tenant)) ?? [await sealing(await derived(env, tenant))];
  const secrets = rotated(before, await sealing(secret), overlap_ms);
  const statement = env.DB.prepare(
    'INSERT INTO webhook_secrets VALUES (?1, ?2) ON CONFLICT (tenant) DO UPDATE SET secrets = ?2',
  ).bind(tenant, JSON.stringify(secrets));
  return { secret, statement };
}
