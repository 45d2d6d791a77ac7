/** Deletes at once, rather than with a later clean-up, bytes that nothing holds any more; workers are told to drop theirs. */
import type { Env } from '../environment.ts';
import { blobKey } from './addresses.ts';
import { CLEAN_UP_AGE_MS } from './clean-up.ts';
import { noteDeletions } from './deletions.ts';

/** What a request or a worker asks of R2 and D1 at once. */
const BATCH = 500;

/**
 * Of the tenant's blobs with these digests, those that nothing holds go. While one of its jobs runs, bytes that were
 * touched lately may be about to be published: those wait for the clean-up.
 */
export async function releaseBlobs(env: Env, tenant: string, digests: readonly string[], now: number): Promise<void> {
  for (let i = 0; i < digests.length; i += BATCH) {
    const { results } = await env.DB.prepare(
      `UPDATE blobs SET state = 'doomed' WHERE tenant = ?1 AND sha256 IN (SELECT value FROM json_each(?2))
         AND NOT EXISTS (SELECT 1 FROM blob_uses u WHERE u.tenant = blobs.tenant AND u.sha256 = blobs.sha256)
         AND NOT EXISTS (SELECT 1 FROM artefacts a WHERE a.tenant = blobs.tenant AND a.sha256 = blobs.sha256)
         AND (touched_at < ?3 OR NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.tenant = ?1 AND jobs.status = 'running'))
       RETURNING sha256`,
    )
      .bind(tenant, JSON.stringify(digests.slice(i, i + BATCH)), now - CLEAN_UP_AGE_MS)
      .all<{ sha256: string }>();
    const doomed = results.map(({ sha256 }) => sha256);
    if (doomed.length === 0) {
      continue;
    }
    await env.R2.delete(doomed.map((sha256) => blobKey(tenant, sha256)));
    const list = JSON.stringify(doomed);
    await env.DB.batch([
      env.DB.prepare(
        `DELETE FROM blobs WHERE tenant = ?1 AND state = 'doomed' AND sha256 IN (SELECT value FROM json_each(?2))`,
      ).bind(tenant, list),
      noteDeletions(env, list, now),
    ]);
  }
}
