/** The hourly clean-up: staging leftovers, expired artefacts, blobs that nothing uses. It works until nothing is due. */
import type { Env } from '../environment.ts';
import { blobKey, stagingPrefix, stagingPrefixOf, stagingPrefixOfTenant, UPLOAD_LIFE_S } from './addresses.ts';
import { noteDeletions } from './deletions.ts';

/** Nothing younger is touched: upload addresses have expired long before, promotions are over. */
export const CLEAN_UP_AGE_MS = 86_400_000;
/** A worker that was away for longer starts with an empty cache. */
const DELETIONS_KEPT_MS = 7 * 86_400_000;
/** A run ends after this time; the next one goes on. */
const LONGEST_MS = 600_000;
const BLOBS = 500;

/** A sending that begins as its address expires may take this long. */
const SLOW_UPLOAD_MS = 15 * 60_000;
/** After an upload address was given out, nothing arrives there any more once this has passed. */
export const LAST_UPLOAD_MS = UPLOAD_LIFE_S * 1000 + SLOW_UPLOAD_MS;

type CleanedUp = { areas: number; artefacts: number; blobs: number };

export async function cleanUp(env: Env, now: number): Promise<CleanedUp> {
  const until = Date.now() + LONGEST_MS;
  await env.DB.prepare('DELETE FROM deletions WHERE at < ?')
    .bind(now - DELETIONS_KEPT_MS)
    .run();
  return {
    areas: await cleanUpStaging(env, now - CLEAN_UP_AGE_MS, until),
    artefacts: await deleteExpiredArtefacts(env, now),
    blobs: await deleteUnusedBlobs(env, now - CLEAN_UP_AGE_MS, { now, until }),
  };
}

/** Tenant by tenant: what was promoted is gone already, so that listing what a tenant has staged takes few calls. */
async function cleanUpStaging(env: Env, before: number, until: number): Promise<number> {
  let areas = 0;
  while (Date.now() < until) {
    const oldest = await env.DB.prepare('SELECT tenant FROM staging WHERE touched_at < ? ORDER BY touched_at LIMIT 1')
      .bind(before)
      .first<{ tenant: string }>();
    if (!oldest) {
      break;
    }
    const { tenant } = oldest;
    await deleteLeftovers(env, tenant, before);
    const gone = await env.DB.prepare('DELETE FROM staging WHERE tenant = ? AND touched_at < ?')
      .bind(tenant, before)
      .run();
    areas += gone.meta.changes;
  }
  return areas;
}

/** Deletes what the tenant has staged in areas that nothing has touched since. */
async function deleteLeftovers(env: Env, tenant: string, before: number): Promise<void> {
  const prefix = stagingPrefixOfTenant(tenant);
  for (let cursor: string | undefined; ; ) {
    const page = await env.R2.list({ prefix, ...(cursor && { cursor }) });
    const keys = page.objects.map(({ key }) => key);
    const jobOf = (key: string): string => key.slice(prefix.length).split('/')[0] ?? '';
    const { results } = await env.DB.prepare(
      `SELECT job, attempt FROM staging
       WHERE tenant = ? AND touched_at >= ? AND job IN (SELECT value FROM json_each(?))`,
    )
      .bind(tenant, before, JSON.stringify([...new Set(keys.map(jobOf))]))
      .all<{ job: string; attempt: number }>();
    const touched = new Set(results.map(({ job, attempt }) => stagingPrefix(tenant, job, attempt)));
    const due = keys.filter((key) => !touched.has(key.slice(0, key.lastIndexOf('/') + 1)));
    if (due.length > 0) {
      await env.R2.delete(due);
    }
    if (!page.truncated) {
      return;
    }
    cursor = page.cursor;
  }
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

async function deleteUnusedBlobs(
  env: Env,
  before: number,
  { now, until }: { now: number; until: number },
): Promise<number> {
  let blobs = 0;
  for (let gone = BLOBS; gone === BLOBS && Date.now() < until; blobs += gone) {
    gone = await deleteSomeUnused(env, before, now);
  }
  return blobs;
}

async function deleteSomeUnused(env: Env, before: number, now: number): Promise<number> {
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
