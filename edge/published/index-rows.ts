/** The generic publisher: puts published results of any kind into the tenant's index. */

import type { Manifest } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import { storedBlobs } from '../artefacts/ownership.ts';
import type { Env } from '../environment.ts';

export type NewResult = { id: string; manifest: Manifest };

/**
 * Names each manifest by its digest, after a look that the tenant owns every blob it refers to, with the right size.
 * Raises artefact_missing, artefact_mismatch.
 */
export async function identifyResults(env: Env, tenant: string, manifests: readonly Manifest[]): Promise<NewResult[]> {
  const digests = new Set(manifests.flatMap((manifest) => manifest.blobs.map((blob) => blob.sha256)));
  const stored = await storedBlobs(env, tenant, [...digests]);
  for (const { kind, blobs } of manifests) {
    for (const blob of blobs) {
      const bytes = stored.get(blob.sha256);
      if (bytes === undefined) {
        throw new SextantError(
          'artefact_missing',
          `the ${kind}'s blob "${blob.name}" (${blob.sha256}) was not uploaded`,
        );
      }
      if (bytes !== blob.bytes) {
        throw new SextantError('artefact_mismatch', `the ${kind}'s blob "${blob.name}" has ${bytes} bytes`);
      }
    }
  }
  const named = await Promise.all(manifests.map(async (manifest) => ({ id: await manifestId(manifest), manifest })));
  return [...new Map(named.map((result) => [result.id, result])).values()];
}

/** Bound JSON per statement stays below D1's 2 MB for a value. */
const CHUNK_CHARACTERS = 1_000_000;

/** Statements for one `DB.batch`; running them again changes nothing. `created` in ms since the epoch. */
export function publishStatements(
  env: Env,
  of: { tenant: string; job: string | null; published: readonly NewResult[]; created: number },
): D1PreparedStatement[] {
  const rows = of.published.map(({ id, manifest }) => ({
    id,
    kind: manifest.kind,
    manifest: JSON.stringify(manifest),
  }));
  const uses = of.published.flatMap(({ id, manifest }) => manifest.blobs.map(({ sha256 }) => ({ sha256, holder: id })));
  return [
    ...chunks(rows).map((chunk) =>
      env.DB.prepare(
        `INSERT OR IGNORE INTO published (tenant, id, kind, manifest, job, created_at)
         SELECT ?2, value ->> 'id', value ->> 'kind', value ->> 'manifest', ?3, ?4 FROM json_each(?1)`,
      ).bind(chunk, of.tenant, of.job, of.created),
    ),
    ...chunks(uses).map((chunk) =>
      env.DB.prepare(
        `INSERT OR IGNORE INTO blob_uses (tenant, sha256, holder)
         SELECT ?2, value ->> 'sha256', value ->> 'holder' FROM json_each(?1)`,
      ).bind(chunk, of.tenant),
    ),
  ];
}

/** Rows as JSON arrays, each of bounded length. */
function chunks(rows: readonly unknown[]): string[] {
  const arrays: string[] = [];
  let open: string[] = [];
  let size = 0;
  for (const row of rows) {
    const text = JSON.stringify(row);
    if (size + text.length > CHUNK_CHARACTERS && open.length > 0) {
      arrays.push(`[${open.join(',')}]`);
      open = [];
      size = 0;
    }
    open.push(text);
    size += text.length + 1;
  }
  if (open.length > 0) {
    arrays.push(`[${open.join(',')}]`);
  }
  return arrays;
}
