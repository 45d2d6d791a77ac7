/** Everything a tenant has, taken away: each step may be repeated, so that what breaks off is simply begun again. */

import { tenantPrefix } from '../artefacts/addresses.ts';
import { deletePrefix, LAST_UPLOAD_MS } from '../artefacts/clean-up.ts';
import { noteDeletions } from '../artefacts/deletions.ts';
import type { Env } from '../environment.ts';
import { forgetKeys } from '../idempotency/keys.ts';
import { inboxOf } from '../inbound/inbox.ts';
import { runOf } from '../inbound/runs/run-of.ts';
import { dispatcherOf } from '../jobs/dispatcher/dispatcher-of.ts';
import { ledgerOf } from '../jobs/ledger-of.ts';
import { accountOf } from '../spending/account.ts';
import { kvPrefix } from '../vectors/lookup.ts';
import { deliveryQueueOf } from '../webhooks/queue-of.ts';
import { allLines } from '../workers/pools.ts';

/** Rows of these tables go by their column `tenant`. */
const TABLES = [
  'keys',
  'inbound_hooks',
  'recipes',
  'webhook_endpoints',
  'webhook_secrets',
  'runs',
  'jobs',
  'vector_names',
  'published',
  'artefacts',
  'blob_uses',
  'models',
  'staging',
  'blobs',
  'usage',
  'spending_caps',
  'delivery_queues',
] as const;
const BATCH = 50;

type Holdings = Record<string, number>;

/** How much of each kind the tenant has. */
export async function holdingsOf(env: Env, tenant: string): Promise<Holdings> {
  const counts = await env.DB.batch<{ n: number }>(
    TABLES.map((table) => env.DB.prepare(`SELECT count(*) AS n FROM ${table} WHERE tenant = ?`).bind(tenant)),
  );
  return Object.fromEntries(TABLES.map((table, i) => [table, counts[i]?.results[0]?.n ?? 0]));
}

/** Ids of a table's rows of the tenant, some at a time, until there are none or none of them goes. */
async function eachOf(
  env: Env,
  table: 'inbound_hooks' | 'webhook_endpoints' | 'runs' | 'jobs',
  tenant: string,
  erase: (id: string) => Promise<void>,
): Promise<void> {
  for (let after = ''; ; ) {
    const { results } = await env.DB.prepare(`SELECT id FROM ${table} WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?`)
      .bind(tenant, after, BATCH)
      .all<{ id: string }>();
    await Promise.all(results.map(({ id }) => erase(id)));
    const last = results.at(-1);
    if (!last) {
      return;
    }
    after = last.id;
  }
}

async function eraseJob(env: Env, tenant: string, id: string): Promise<void> {
  const ledger = ledgerOf(env, id);
  await ledger.cancel(tenant);
  await ledger.erase(tenant);
}

/** All of the tenant's bytes in the bucket. */
export const eraseObjects = (env: Env, tenant: string): Promise<void> => deletePrefix(env.R2, tenantPrefix(tenant));

/** Until when bytes may arrive at addresses that were given out, ms since the epoch; 0 where none was. */
export async function lastUploadAt(env: Env, tenant: string): Promise<number> {
  const row = await env.DB.prepare('SELECT max(touched_at) AS last FROM staging WHERE tenant = ?')
    .bind(tenant)
    .first<{ last: number | null }>();
  return row?.last ? row.last + LAST_UPLOAD_MS : 0;
}

/** Takes all of it away. Raises what the stores raise; call it again then. */
export async function eraseTenant(env: Env, tenant: string, now: number): Promise<void> {
  // first whoever could bring something new
  await env.DB.prepare('DELETE FROM keys WHERE tenant = ?').bind(tenant).run();
  await eachOf(env, 'inbound_hooks', tenant, (id) => inboxOf(env, id).erase());
  await env.DB.prepare('DELETE FROM inbound_hooks WHERE tenant = ?').bind(tenant).run();
  await eachOf(env, 'runs', tenant, async (id) => {
    await runOf(env, id).cancel(tenant);
    await runOf(env, id).erase();
  });
  await eachOf(env, 'jobs', tenant, (id) => eraseJob(env, tenant, id));
  await eachOf(env, 'webhook_endpoints', tenant, (id) => deliveryQueueOf(env, id).erase());
  const queues = await env.DB.prepare('SELECT name FROM delivery_queues WHERE tenant = ?')
    .bind(tenant)
    .all<{ name: string }>();
  await Promise.all(queues.results.map(({ name }) => deliveryQueueOf(env, name).erase()));
  await Promise.all(allLines(env).map((line) => dispatcherOf(env, line).forget(tenant)));
  for (let cursor: string | undefined; ; ) {
    const page = await env.KV.list({ prefix: kvPrefix(tenant), ...(cursor ? { cursor } : {}) });
    await Promise.all(page.keys.map(({ name }) => env.KV.delete(name)));
    if (page.list_complete) {
      break;
    }
    cursor = page.cursor;
  }
  await accountOf(env, tenant).erase();
  await forgetKeys(env, tenant);
  await eraseObjects(env, tenant);
  const { results } = await env.DB.prepare('SELECT sha256 FROM blobs WHERE tenant = ?')
    .bind(tenant)
    .all<{ sha256: string }>();
  const digests = results.map(({ sha256 }) => sha256);
  await env.DB.batch([
    env.DB.prepare('DELETE FROM recipe_versions WHERE recipe IN (SELECT id FROM recipes WHERE tenant = ?)').bind(
      tenant,
    ),
    ...TABLES.map((table) => env.DB.prepare(`DELETE FROM ${table} WHERE tenant = ?`).bind(tenant)),
    env.DB.prepare('DELETE FROM tenant_deletions WHERE tenant = ?').bind(tenant),
    noteDeletions(env, JSON.stringify(digests), now),
  ]);
}
