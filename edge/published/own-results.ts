/** Results that the edge publishes itself, of bytes that it has in hand: no job made them. */
import type { Manifest } from '../../shared/contracts/manifest.ts';
import { blobKey } from '../artefacts/addresses.ts';
import { markStored, reserveBlobs } from '../artefacts/ownership.ts';
import { type AuditEvent, audited } from '../audit/log.ts';
import type { Env } from '../environment.ts';
import { identifyResults, publishStatements } from './index-rows.ts';

type OwnResult = { manifest: Manifest; bytes: Uint8Array<ArrayBuffer> };

/**
 * Publishes all of them at once or none; again changes nothing. Each manifest names one blob, whose bytes come along.
 * @param also statements of the same transaction, made of the ids
 * @returns the ids, in order
 */
export async function publishOwn(
  env: Env,
  event: Omit<AuditEvent, 'target'>,
  results: readonly OwnResult[],
  also: (ids: readonly string[]) => D1PreparedStatement[] = () => [],
): Promise<string[]> {
  const { tenant } = event;
  const now = Date.now();
  const blobs = results.flatMap(({ manifest, bytes }) => manifest.blobs.map((blob) => ({ blob, bytes })));
  const stored = await reserveBlobs(
    env,
    tenant,
    blobs.map(({ blob }) => blob),
    now,
  );
  for (const { blob, bytes } of blobs) {
    if (!stored.has(blob.sha256)) {
      await env.R2.put(blobKey(tenant, blob.sha256), bytes, {
        onlyIf: { etagDoesNotMatch: '*' },
        sha256: blob.sha256,
        httpMetadata: { contentType: blob.media_type },
      });
    }
  }
  const digests = blobs.map(({ blob }) => blob.sha256);
  await markStored(env, tenant, digests, now);
  const published = await identifyResults(
    env,
    tenant,
    results.map(({ manifest }) => manifest),
  );
  const ids = published.map(({ id }) => id);
  await audited(env, { ...event, target: ids[0] ?? '' }, [
    ...publishStatements(env, { tenant, job: null, published, created: now }),
    ...also(ids),
  ]);
  return ids;
}
