/** The hourly clean-up: staging leftovers, expired artefacts, blobs that nothing uses. Bounded work per run. */
import type { Env } from '../environment.ts';
import { blobKey, stagingPrefix, stagingPrefixOf, UPLOAD_LIFE_S } from './addresses.ts';
import { noteDeletions } from './deletions.ts';

/** Nothing younger is touched: upload addresses have expired long before, promotions are over. */
export const CLEAN_UP_AGE_MS = 86_400_000;
/** A worker that was away for longer starts with an empty cache. */
const DELETIONS_KEPT_MS = 7 * 86_400_000;
const AREAS = 200;
const BLOBS = 500;

/** A sending that begins as its address expires may take this long. */
const SLOW_UPLOAD_MS = 15 * 60_000;
/** After an upload address was given out, nothing arrives there any more once this has passed. */
export const LAST_UPLOAD_MS = UPLOAD_LIFE_S * 1000 + SLOW_UPLOAD_MS;

type CleanedUp = { areas: number; artefacts: number; blobs: number };

export async function cleanUp(env: Env, now: number): Promise<CleanedUp> {
  await env.DB.prepare('DELETE FROM deletions WHERE at < ?')
    .bind(now - DELETIONS_KEPT_MS)
    .run();
  return {
    areas: await cleanUpStaging(env, now - CLEAN_UP_AGE_MS),
    artefacts: await deleteExpiredArtefacts(env, now),
    blobs: await deleteUnusedBlobs(env, now - CLEAN_UP_AGE_MS, now),
  };
}

async function cleanUpStaging(env: Env, before: number): Promise<number> {
  const { results } = await env.DB.prepare(
    'SELECT tenant, job, attempt FROM staging WHERE touched_at < ? ORDER BY touched_at LIMIT ?',
  )
    .bind(before, AREAS)
    .all<{ tenant: string; job: string; attempt: number }>();
  for (const { tenant, job, attempt } of results) {
    await deletePrefix(env.R2, stagingPrefix(tenant, job, attempt));
    await env.DB.prepare('DELETE FROM staging WHERE tenant = ? AND job = ? AND attempt = ? AND touched_at < ?')
      .bind(tenant, job, attempt, before)
      .run();
  }
  return results.length;
}

/**
 * Deletes at once what was staged for a job or an artefact that goes. Its upload addresses may still count: what arrives
 * there later falls to the first clean-up after the last of them has expired.
 */
export async function discardStaging(env: Env, tenant: string, job: string): Promise<void> {
  await deletePrefix(env.R2, stagingPrefixOf(tenant, job));
  await env.DB.prepare(
    'UPDATE staging SET touched_at = touched_at - ?3 WHERE tenant = ?1 AND job = ?2 AND touched_at > ?4',
  )
    .bind(tenant, job, CLEAN_UP_AGE_MS - LAST_UPLOAD_MS, Date.now() - LAST_UPLOAD_MS)
    .run();
}

export async function deletePrefix(bucket: R2Bucket, prefix: string): Promise<void> {
  for (;;) {
    const { objects, truncated } = await bucket.list({ prefix });
    if (objects.length > 0) {
      await bucket.delete(objects.map((object) => object.key));
    }
    if (!truncated) {
      return;
    }
  }
}

/** Artefacts past their time, and grants whose bytes never came. */
async function deleteExpiredArtefacts(env: Env, now: number): Promise<number> {
  const [, gone] = await env.DB.batch([
    env.DB.prepare('DELETE FROM blob_uses WHERE holder IN (SELECT id FROM artefacts WHERE expires_at < ?)').bind(now),
    env.DB.prepare('DELETE FROM artefacts WHERE expires_at < ?').bind(now),
  ]);
  return gone!.meta.changes;
}

async function deleteUnusedBlobs(env: Env, before: number, now: number): Promise<number> {
  // doomed first, so that no promotion relies on bytes that are about to go; rows doomed by a broken run come along
  const { results } = await env.DB.prepare(
    `UPDATE blobs SET state = 'doomed' WHERE (tenant, sha256) IN (
       SELECT tenant, sha256 FROM blobs b WHERE touched_at < ?1 AND NOT EXISTS (
         SELECT 1 FROM blob_uses u WHERE u.tenant = b.tenant AND u.sha256 = b.sha256)
       ORDER BY touched_at LIMIT ?2)
     RETURNING tenant, sha256`,
  )
    .bind(before, BLOBS)
    .all<{ tenant: string; sha256: string }>();
  if (results.length === 0) {
    return 0;
  }
  await env.R2.delete(results.map(({ tenant, sha256 }) => blobKey(tenant, sha256)));
  await env.DB.batch([
    env.DB.prepare(
      `DELETE FROM blobs WHERE state = 'doomed' AND (tenant, sha256) IN (
         SELECT value ->> 'tenant', value ->> 'sha256' FROM json_each(?))`,
    ).bind(JSON.stringify(results)),
    noteDeletions(env, JSON.stringify(results.map(({ sha256 }) => sha256)), now),
  ]);
  return results.length;
}
