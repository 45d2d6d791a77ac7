/** Which blobs a tenant owns. A digest grants nothing: every question here names the tenant. */
import { SextantError } from '../../shared/contracts/problem.ts';
import type { Env } from '../environment.ts';

/** The tenant's stored blobs among `digests`, with their sizes. */
export async function storedBlobs(env: Env, tenant: string, digests: readonly string[]): Promise<Map<string, number>> {
  if (digests.length === 0) {
    return new Map();
  }
  const { results } = await env.DB.prepare(
    `SELECT sha256, bytes FROM blobs
     WHERE tenant = ? AND state = 'stored' AND sha256 IN (SELECT value FROM json_each(?))`,
  )
    .bind(tenant, JSON.stringify(digests))
    .all<{ sha256: string; bytes: number }>();
  return new Map(results.map((row) => [row.sha256, row.bytes]));
}

/**
 * Keeps blobs from being cleaned up for a day and makes room for those still to come; says which are stored already.
 * Raises `unavailable` where the clean-up is deleting one of them at this moment.
 */
export async function reserveBlobs(
  env: Env,
  tenant: string,
  blobs: readonly { sha256: string; bytes: number }[],
  now: number,
): Promise<Map<string, number>> {
  const [, states] = await env.DB.batch<{ sha256: string; bytes: number; state: string }>([
    env.DB.prepare(
      `INSERT INTO blobs (tenant, sha256, bytes, state, touched_at)
       SELECT ?1, value ->> 'sha256', value ->> 'bytes', 'reserved', ?3 FROM json_each(?2) WHERE true
       ON CONFLICT DO UPDATE SET touched_at = excluded.touched_at,
         bytes = CASE state WHEN 'reserved' THEN excluded.bytes ELSE bytes END
       WHERE state <> 'doomed'`,
    ).bind(tenant, JSON.stringify(blobs.map(({ sha256, bytes }) => ({ sha256, bytes }))), now),
    env.DB.prepare(
      'SELECT sha256, bytes, state FROM blobs WHERE tenant = ? AND sha256 IN (SELECT value FROM json_each(?))',
    ).bind(tenant, JSON.stringify(blobs.map((blob) => blob.sha256))),
  ]);
  const stored = new Map<string, number>();
  for (const { sha256, bytes, state } of states!.results) {
    if (state === 'doomed') {
      throw new SextantError('unavailable', `the blob ${sha256} is being deleted at this moment; ask again`);
    }
    if (state === 'stored') {
      stored.set(sha256, bytes);
    }
  }
  return stored;
}

/** From here on the tenant owns these promoted bytes. */
export async function markStored(env: Env, tenant: string, digests: readonly string[], now: number): Promise<void> {
  await env.DB.prepare(
    `UPDATE blobs SET state = 'stored', touched_at = ?
     WHERE tenant = ? AND state = 'reserved' AND sha256 IN (SELECT value FROM json_each(?))`,
  )
    .bind(now, tenant, JSON.stringify(digests))
    .run();
}
