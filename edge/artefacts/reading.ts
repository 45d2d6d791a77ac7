/** Reading a tenant's artefacts: its own and those of the public tenant. */
import { SextantError } from '../../shared/contracts/problem.ts';
import { type Env, PUBLIC_TENANT } from '../environment.ts';

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
  if (!row || (row.expires_at !== null && row.expires_at <= now))
    throw new SextantError('not_found', `there is no artefact ${id}`);
  return row;
}
