/**
 * Checkpoints: where a job stands, kept from one attempt to the next. Their bytes are checked and promoted as those of a
 * completion, but no artefact shows them; the job itself holds them against the clean-up until it ends.
 */
import { SextantError } from '../../shared/contracts/problem.ts';
import type { Acceptance, Checkpoint, CheckpointRequest, Claim } from '../../shared/contracts/worker-call.ts';
import { presignRead } from '../artefacts/addresses.ts';
import { PROMOTION_MS, promoteUploads } from '../artefacts/promotion.ts';
import type { Env } from '../environment.ts';
import type { Held } from './held.ts';

/** The ledger keeps a checkpoint in one row, which holds 2 MB. */
const LIMIT = 1_800_000;

/** The checkpoint, or how far the promotion of its uploads has come. Raises `validation_failed`, `artefact_missing`, `artefact_mismatch`, `unavailable`. */
export async function checkCheckpoint(
  env: Env,
  { tenant, attempt, job }: Held & { job: string },
  { state, blobs }: CheckpointRequest,
): Promise<Checkpoint | Acceptance> {
  const checkpoint = { state, blobs: blobs.map(({ n: _n, ...blob }) => blob) };
  if (JSON.stringify(checkpoint).length > LIMIT) {
    throw new SextantError(
      'validation_failed',
      `a checkpoint has at most ${LIMIT} characters; use fewer, larger blobs`,
    );
  }
  const uploads = { tenant, job, attempt, artefacts: blobs };
  const { left, of } = await promoteUploads(env, uploads, { patience_ms: PROMOTION_MS });
  return left > 0 ? { status: 'promoting', promoted: of - left, of } : checkpoint;
}

/** The checkpoint as a claim hands it out. */
export const openCheckpoint = async (
  env: Env,
  tenant: string,
  { state, blobs }: Checkpoint,
): Promise<Claim['checkpoint']> => ({
  state,
  blobs: await Promise.all(blobs.map(async (blob) => ({ ...blob, url: await presignRead(env, tenant, blob.sha256) }))),
});

/** Makes the job hold these blobs and no others; again changes nothing. */
export async function holdBlobs(
  env: Env,
  { tenant, id }: { tenant: string; id: string },
  digests: readonly string[],
): Promise<void> {
  const list = JSON.stringify(digests);
  await env.DB.batch([
    env.DB.prepare(
      `DELETE FROM blob_uses WHERE tenant = ?1 AND holder = ?2 AND sha256 NOT IN (SELECT value FROM json_each(?3))`,
    ).bind(tenant, id, list),
    env.DB.prepare(
      `INSERT OR IGNORE INTO blob_uses (tenant, sha256, holder) SELECT ?1, value, ?2 FROM json_each(?3)`,
    ).bind(tenant, id, list),
  ]);
}
