/** Reading a tenant's artefacts: its own and those of the public tenant. */
import { SextantError } from '../../shared/contracts/problem.ts';
import { type Env, PUBLIC_TENANT } from '../environment.ts';
import type { Position } from '../http/pages.ts';

/** Row of the D1 table `artefacts`. */
export type ArtefactRow = {
  id: string;
  tenant: string;
  sha256: string;
  bytes: number;
  media_type: string;
  name: string;
  job: string | null;
  state: 'pending' | 'stored';
  created_at: number;
  expires_at: number | null;
};

/** The artefact of this id, unless its time has run out. Raises not_found. */
export async function readArtefact(env: Env, tenant: string, id: string, now: number): Promise<ArtefactRow> {
  const row = await env.DB.prepare('SELECT * FROM artefacts WHERE id = ? AND tenant IN (?, ?)')
    .bind(id, tenant, PUBLIC_TENANT)
    .first<ArtefactRow>();
  if (!row || (row.expires_at !== null && row.expires_at <= now)) {
    throw new SextantError('not_found', `there is no artefact ${id}`);
  }
  return row;
}

/** Up to `limit` of the tenant's own artefacts, newest first, from `before` on. */
export async function listArtefacts(
  env: Env,
  of: { tenant: string; job: string | undefined; before: Position; limit: number; now: number },
): Promise<(ArtefactRow & Position)[]> {
  const { results } = await env.DB.prepare(
    `SELECT *, created_at AS created FROM artefacts
     WHERE tenant = ?1 AND (created_at, id) < (?2, ?3) AND (?4 IS NULL OR job = ?4)
       AND (expires_at IS NULL OR expires_at > ?5)
     ORDER BY created_at DESC, id DESC LIMIT ?6`,
  )
    .bind(of.tenant, of.before.created, of.before.id, of.job ?? null, of.now, of.limit)
    .all<ArtefactRow & Position>();
  return results;
}
