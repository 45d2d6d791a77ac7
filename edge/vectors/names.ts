/** Vector names: small mutable pointers of a tenant, each with a version. */
import { SextantError } from '../../shared/contracts/problem.ts';
import type { Env } from '../environment.ts';

/** Row of the D1 table `vector_names`. */
export type VectorName = {
  tenant: string;
  name: string;
  vector: string;
  version: number;
  created_at: number;
  updated_at: number;
};

export const findName = (env: Env, tenant: string, name: string): Promise<VectorName | null> =>
  env.DB.prepare('SELECT * FROM vector_names WHERE tenant = ? AND name = ?').bind(tenant, name).first<VectorName>();

/** Raises not_found. */
export async function readName(env: Env, tenant: string, name: string): Promise<VectorName> {
  const row = await findName(env, tenant, name);
  if (!row) {
    throw new SextantError('not_found', `there is no vector name "${name}"`);
  }
  return row;
}

/** Up to `limit` names after `after`, in their order. */
export const listNames = async (env: Env, tenant: string, after: string, limit: number): Promise<VectorName[]> =>
  (
    await env.DB.prepare('SELECT * FROM vector_names WHERE tenant = ? AND name > ? ORDER BY name LIMIT ?')
      .bind(tenant, after, limit)
      .all<VectorName>()
  ).results;

/** A new name; null where it exists already. */
export const createName = (env: Env, of: { tenant: string; name: string; vector: string; now: number }) =>
  env.DB.prepare(
    `INSERT OR IGNORE INTO vector_names (tenant, name, vector, version, created_at, updated_at)
     VALUES (?1, ?2, ?3, 1, ?4, ?4) RETURNING *`,
  )
    .bind(of.tenant, of.name, of.vector, of.now)
    .first<VectorName>();

/** Points an existing name elsewhere if `version` is still its version; null where it is not. */
export const moveName = (
  env: Env,
  of: { tenant: string; name: string; vector: string; version: number; now: number },
): Promise<VectorName | null> =>
  env.DB.prepare(
    `UPDATE vector_names SET vector = ?3, version = version + 1, updated_at = ?5
     WHERE tenant = ?1 AND name = ?2 AND version = ?4 RETURNING *`,
  )
    .bind(of.tenant, of.name, of.vector, of.version, of.now)
    .first<VectorName>();

/** Deletes a name if `version` is still its version; says whether it did. */
export async function deleteName(env: Env, of: { tenant: string; name: string; version: number }): Promise<boolean> {
  const { meta } = await env.DB.prepare('DELETE FROM vector_names WHERE tenant = ? AND name = ? AND version = ?')
    .bind(of.tenant, of.name, of.version)
    .run();
  return meta.changes > 0;
}

/** For a job that publishes under a name: points it at `vector` whatever it was before; again changes nothing. */
export const pointName = (
  env: Env,
  of: { tenant: string; name: string; vector: string; now: number },
): D1PreparedStatement =>
  env.DB.prepare(
    `INSERT INTO vector_names (tenant, name, vector, version, created_at, updated_at) VALUES (?1, ?2, ?3, 1, ?4, ?4)
     ON CONFLICT DO UPDATE SET vector = excluded.vector, version = version + 1, updated_at = excluded.updated_at
     WHERE vector <> excluded.vector`,
  ).bind(of.tenant, of.name, of.vector, of.now);
