/** What a job reads: published results and artefacts that its params name, with addresses of their bytes. */
import { SextantError } from '../../shared/contracts/problem.ts';
import type { JobInput } from '../../shared/contracts/worker-call.ts';
import { presignRead } from '../artefacts/addresses.ts';
import { readArtefact } from '../artefacts/reading.ts';
import type { Env } from '../environment.ts';
import { findPublished } from './reading.ts';

/**
 * The inputs of these ids (published results, or `art_` artefacts) as `tenant` sees them, in the same order. Raises
 * input_not_found for the first id that is not there.
 */
export async function resolveInputs(
  env: Env,
  tenant: string,
  ids: readonly string[],
  now: number = Date.now(),
): Promise<JobInput[]> {
  const published = await findPublished(env, tenant, ids);
  return Promise.all(
    ids.map(async (id): Promise<JobInput> => {
      const result = published.get(id);
      if (result) {
        const blobs = result.manifest.blobs.map(async (blob) => ({
          ...blob,
          url: await presignRead(env, result.tenant, blob.sha256),
        }));
        return { id, manifest: result.manifest, blobs: await Promise.all(blobs) };
      }
      const row = id.startsWith('art_') ? await readArtefact(env, tenant, id, now).catch(() => null) : null;
      if (row?.state !== 'stored') throw new SextantError('input_not_found', `there is no ${id}`);
      const { name, sha256, bytes, media_type } = row;
      const url = await presignRead(env, row.tenant, sha256);
      return { id, manifest: null, blobs: [{ name, sha256, bytes, media_type, url }] };
    }),
  );
}
