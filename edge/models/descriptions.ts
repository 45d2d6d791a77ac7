/** Models that a worker has resolved for one of the tenant's jobs, so that a wrong hook can be refused at once. */
import { type ModelDescription, modelDescriptionSchema } from '../../shared/contracts/model.ts';
import { type Env, PUBLIC_TENANT } from '../environment.ts';

type Row = { tenant: string; description: string; seen_at: number };
export type SeenModel = { tenant: string; description: ModelDescription; seen: number };

const seenModel = (row: Row): SeenModel => ({
  tenant: row.tenant,
  description: modelDescriptionSchema.parse(JSON.parse(row.description)),
  seen: row.seen_at,
});

/** The model of this key (`modelKey` of a reference) as the tenant's jobs saw it last; null where none did. */
export async function findModel(env: Env, tenant: string, key: string): Promise<SeenModel | null> {
  const row = await env.DB.prepare('SELECT * FROM models WHERE key = ?1 AND tenant IN (?2, ?3) ORDER BY tenant <> ?2')
    .bind(key, tenant, PUBLIC_TENANT)
    .first<Row>();
  return row && seenModel(row);
}

/** Whether a job of this very tenant has used the model. */
export const isKnown = async (env: Env, tenant: string, key: string): Promise<boolean> =>
  (await env.DB.prepare('SELECT 1 FROM models WHERE tenant = ? AND key = ?').bind(tenant, key).first()) !== null;

/** Up to `limit` models after `after`, ordered by key. */
export async function listModels(env: Env, tenant: string, after: string, limit: number): Promise<SeenModel[]> {
  const { results } = await env.DB.prepare(
    'SELECT * FROM models WHERE tenant IN (?1, ?2) AND key > ?3 GROUP BY key ORDER BY key LIMIT ?4',
  )
    .bind(tenant, PUBLIC_TENANT, after, limit)
    .all<Row>();
  return results.map(seenModel);
}
