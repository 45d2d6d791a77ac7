/** Upload addresses for an attempt's staging area. */
import type { Env } from '../environment.ts';
import { presign, stagingKey, UPLOAD_LIFE_S } from './addresses.ts';
import { storedBlobs } from './ownership.ts';

export type StagingArea = { tenant: string; job: string; attempt: number };
/** `url` is null where the tenant owns these bytes already and nothing has to be sent. */
type Upload = { n: number; url: string | null };

/** Numbers the announced blobs within the attempt and gives an address for each, in the same order. */
export async function presignUploads(
  env: Env,
  area: StagingArea & { blobs: readonly { sha256: string; bytes: number }[] },
  now: number = Date.now(),
): Promise<Upload[]> {
  const { tenant, job, attempt, blobs } = area;
  const stored = await storedBlobs(
    env,
    tenant,
    blobs.map((blob) => blob.sha256),
  );
  const counter = await env.DB.prepare(
    `INSERT INTO staging (tenant, job, attempt, uploads, touched_at) VALUES (?1, ?2, ?3, ?4, ?5)
     ON CONFLICT DO UPDATE SET uploads = uploads + excluded.uploads, touched_at = excluded.touched_at
     RETURNING uploads`,
  )
    .bind(tenant, job, attempt, blobs.length, now)
    .first<{ uploads: number }>();
  const first = counter!.uploads - blobs.length;
  return Promise.all(
    blobs.map(async (blob, i) => ({
      n: first + i,
      url: stored.has(blob.sha256)
        ? null
        : await presign(env, 'PUT', stagingKey(tenant, job, attempt, first + i), UPLOAD_LIFE_S),
    })),
  );
}
