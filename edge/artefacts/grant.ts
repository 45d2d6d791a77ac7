/** Uploads by clients: a grant with an address, then a commit that checks what came, in the way of a job's artefacts. */
import { SextantError } from '../../shared/contracts/problem.ts';
import { randomId } from '../../shared/signing/digest.ts';
import { type AuditEvent, audited } from '../audit/log.ts';
import type { Env } from '../environment.ts';
import { UPLOAD_LIFE_S } from './addresses.ts';
import { discardStaging } from './clean-up.ts';
import { reserveBlobs, storedBlobs } from './ownership.ts';
import { verifyAndPromote } from './promotion.ts';
import { type ArtefactRow, readArtefact } from './reading.ts';
import { releaseBlobs } from './release.ts';
import { presignUploads } from './upload.ts';

/** A grant whose bytes never came is deleted after this time. */
const PENDING_LIFE_MS = 86_400_000;

type Grant = { row: ArtefactRow; url: string | null; url_expires: number };
type Announcement = { name: string; sha256: string; bytes: number; media_type: string };

/** A new artefact: stored at once where the tenant owns these bytes, else pending with an address to send them to. */
export async function grantUpload(env: Env, tenant: string, announced: Announcement, now: number): Promise<Grant> {
  const id = randomId('art');
  const size = (await storedBlobs(env, tenant, [announced.sha256])).get(announced.sha256);
  if (size !== undefined && size !== announced.bytes) {
    throw new SextantError('artefact_mismatch', `bytes with this digest are ${size} long, not ${announced.bytes}`);
  }
  const owned = size !== undefined && (await reserveBlobs(env, tenant, [announced], now)).has(announced.sha256);
  const state = owned ? 'stored' : 'pending';
  const expires_at = owned ? null : now + PENDING_LIFE_MS;
  const row: ArtefactRow = { ...announced, id, tenant, job: null, state, created_at: now, expires_at };
  await env.DB.batch([
    env.DB.prepare(
      `INSERT INTO artefacts (id, tenant, sha256, bytes, media_type, name, job, state, created_at, expires_at)
       VALUES (?, ?, ?, ?, ?, ?, NULL, ?, ?, ?)`,
    ).bind(id, tenant, row.sha256, row.bytes, row.media_type, row.name, state, now, expires_at),
    ...(owned ? [useStatement(env, row)] : []),
  ]);
  const area = { tenant, job: id, attempt: 1 };
  const url = owned ? null : (await presignUploads(env, { ...area, blobs: [announced] }, now))[0]!.url;
  return { row, url, url_expires: now + UPLOAD_LIFE_S * 1000 };
}

/** Checks and promotes what was uploaded for a pending artefact; again changes nothing. */
export async function commitUpload(env: Env, tenant: string, id: string, now: number): Promise<ArtefactRow> {
  const row = await readArtefact(env, tenant, id, now);
  if (row.tenant !== tenant) {
    throw new SextantError('not_found', `there is no artefact ${id}`);
  }
  if (row.state === 'stored') {
    return row;
  }
  await verifyAndPromote(env, { tenant, job: id, attempt: 1, artefacts: [{ ...row, n: 0 }] }, now);
  const stored: ArtefactRow = { ...row, state: 'stored', expires_at: null };
  await env.DB.batch([
    env.DB.prepare("UPDATE artefacts SET state = 'stored', expires_at = NULL WHERE id = ?").bind(id),
    useStatement(env, stored),
  ]);
  return stored;
}

const useStatement = (env: Env, { tenant, sha256, id }: ArtefactRow): D1PreparedStatement =>
  env.DB.prepare('INSERT OR IGNORE INTO blob_uses (tenant, sha256, holder) VALUES (?, ?, ?)').bind(tenant, sha256, id);

/** Deletes the tenant's artefact, and its bytes unless something else uses them. Raises not_found. */
export async function deleteArtefact(env: Env, event: AuditEvent, now: number): Promise<void> {
  const { tenant, target: id } = event;
  const row = await readArtefact(env, tenant, id, now);
  if (row.tenant !== tenant) {
    throw new SextantError('not_found', `this tenant has no artefact ${id}`);
  }
  await audited(env, event, [
    env.DB.prepare('DELETE FROM artefacts WHERE id = ?').bind(id),
    env.DB.prepare('DELETE FROM blob_uses WHERE tenant = ? AND holder = ?').bind(tenant, id),
  ]);
  await releaseBlobs(env, tenant, [row.sha256], now);
  await discardStaging(env, tenant, id);
}
