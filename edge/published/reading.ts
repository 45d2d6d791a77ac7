/** Reading the index of published results: a tenant sees its own and those of the public tenant, and no others. */

import type { Manifest, PublishedKind } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { type Env, PUBLIC_TENANT } from '../environment.ts';
import type { Position } from '../http/pages.ts';

/** `tenant` is the owner: the asking tenant or the public one. */
export type PublishedResult = { tenant: string; id: string; manifest: Manifest; job: string | null; created: number };
type Row = { tenant: string; id: string; manifest: string; job: string | null; created_at: number };

const resultOf = (row: Row): PublishedResult => ({
  tenant: row.tenant,
  id: row.id,
  manifest: JSON.parse(row.manifest) as Manifest,
  // jobs of the public tenant are the operator's own affair
  job: row.job,
  created: row.created_at,
});

/** Results of these ids, in no particular order; the tenant's own where the public tenant has it as well. */
export async function findPublished(
  env: Env,
  tenant: string,
  ids: readonly string[],
): Promise<Map<string, PublishedResult>> {
  const { results } = await env.DB.prepare(
    `SELECT * FROM published WHERE tenant IN (?1, ?2) AND id IN (SELECT value FROM json_each(?3))
     ORDER BY tenant = ?1`,
  )
    .bind(tenant, PUBLIC_TENANT, JSON.stringify(ids))
    .all<Row>();
  return new Map(results.map((row) => [row.id, resultOf(row)]));
}

/** The result of this id and kind. Raises not_found. */
export async function readPublished(
  env: Env,
  tenant: string,
  kind: PublishedKind,
  id: string,
): Promise<PublishedResult> {
  const result = (await findPublished(env, tenant, [id])).get(id);
  if (!result || result.manifest.kind !== kind) {
    throw new SextantError('not_found', `there is no ${kind} ${id}`);
  }
  return result;
}

/** Up to `limit` results of a kind, newest first, from `before` on. Filters compare with the manifest. */
export async function listPublished(
  env: Env,
  of: {
    tenant: string;
    kind: PublishedKind;
    before: Position;
    limit: number;
    filters?: { model?: string | undefined; hook?: string | undefined; method?: string | undefined };
  },
): Promise<PublishedResult[]> {
  const { model, hook, method } = of.filters ?? {};
  const { results } = await env.DB.prepare(
    `SELECT * FROM published WHERE tenant IN (?1, ?2) AND kind = ?3 AND (created_at, id) < (?4, ?5)
       AND (?6 IS NULL OR manifest ->> 'model' = ?6) AND (?7 IS NULL OR manifest ->> 'hook' = ?7)
       AND (?8 IS NULL OR manifest ->> 'method' = ?8)
     GROUP BY id ORDER BY created_at DESC, id DESC LIMIT ?9`,
  )
    .bind(
      of.tenant,
      PUBLIC_TENANT,
      of.kind,
      of.before.created,
      of.before.id,
      model ?? null,
      hook ?? null,
      method ?? null,
      of.limit,
    )
    .all<Row>();
  return results.map(resultOf);
}
