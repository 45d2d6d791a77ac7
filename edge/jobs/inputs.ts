/** Published results and artefacts that a job's params name by id: they must exist for the tenant, and the worker reads their bytes. */
import type { Manifest } from '../../shared/contracts/manifest.ts';
import { paramError, SextantError } from '../../shared/contracts/problem.ts';
import type { JobInput } from '../../shared/contracts/worker-call.ts';
import type { InputUse } from '../../shared/jobs/contract.ts';
import { presignRead } from '../artefacts/addresses.ts';
import type { Env } from '../environment.ts';
import { findPublished } from '../published/reading.ts';

type Found = Omit<JobInput, 'blobs'> & { tenant: string; blobs: Omit<JobInput['blobs'][number], 'url'>[] };
type ArtefactRow = { id: string; sha256: string; bytes: number; media_type: string; name: string };

async function findInputs(env: Env, tenant: string, ids: readonly string[]): Promise<Map<string, Found>> {
  if (ids.length === 0) {
    return new Map();
  }
  const published = await findPublished(env, tenant, ids);
  const { results } = await env.DB.prepare(
    `SELECT id, sha256, bytes, media_type, name FROM artefacts
     WHERE tenant = ? AND state = 'stored' AND id IN (SELECT value FROM json_each(?))
       AND (expires_at IS NULL OR expires_at > ?)`,
  )
    .bind(tenant, JSON.stringify(ids), Date.now())
    .all<ArtefactRow>();
  const found = new Map<string, Found>();
  for (const { id, tenant: owner, manifest } of published.values()) {
    found.set(id, { id, tenant: owner, manifest, blobs: manifest.blobs });
  }
  for (const { id, ...blob } of results) {
    found.set(id, { id, tenant, manifest: null, blobs: [blob] });
  }
  return found;
}

const manifestsAmong = (found: ReadonlyMap<string, Found>): Manifest[] =>
  [...found.values()].flatMap(({ manifest }) => manifest ?? []);

/** The manifests of those inputs that are published and exist. */
export const readManifests = async (env: Env, tenant: string, uses: readonly InputUse[]): Promise<Manifest[]> =>
  manifestsAmong(
    await findInputs(
      env,
      tenant,
      uses.map((use) => use.id),
    ),
  );

/**
 * The manifests of those inputs that are published results.
 * @throws SextantError `input_not_found` with a pointer to each id that the tenant does not have
 */
export async function checkInputs(env: Env, tenant: string, uses: readonly InputUse[]): Promise<Manifest[]> {
  const found = await findInputs(
    env,
    tenant,
    uses.map((use) => use.id),
  );
  const errors = uses
    .filter((use) => !found.has(use.id))
    .map(({ id, pointer }) => ({
      pointer: `/params${pointer}`,
      code: 'input_not_found',
      detail: `there is no ${id} for this tenant`,
    }));
  if (errors.length > 0) {
    throw new SextantError('input_not_found', errors[0]?.detail ?? '', { errors });
  }
  return manifestsAmong(found);
}

/** The inputs with addresses for their bytes. Raises `input_not_found` for one that has been deleted since. */
export async function openInputs(env: Env, tenant: string, uses: readonly InputUse[]): Promise<JobInput[]> {
  const found = await findInputs(
    env,
    tenant,
    uses.map((use) => use.id),
  );
  return Promise.all(
    [...new Map(uses.map((use) => [use.id, use.pointer]))].map(async ([id, pointer]) => {
      const input = found.get(id);
      if (!input) {
        throw paramError('input_not_found', pointer, `the input ${id} has been deleted`);
      }
      const blobs = input.blobs.map(async (blob) => ({
        ...blob,
        url: await presignRead(env, input.tenant, blob.sha256),
      }));
      return { id, manifest: input.manifest, blobs: await Promise.all(blobs) };
    }),
  );
}
