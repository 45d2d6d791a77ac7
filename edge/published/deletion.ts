/** Deleting a thing of the tenant; its blobs go with the next sweeps unless something else uses them. */
import { SextantError } from '../../shared/contracts/problem.ts';
import type { Env } from '../environment.ts';
import type { Thing } from './reading.ts';

/** Raises not_found for a thing of the public tenant, conflict while a vector name points at it. */
export async function deleteThing(env: Env, tenant: string, thing: Thing): Promise<void> {
  if (thing.tenant !== tenant)
    throw new SextantError('not_found', `this tenant has no ${thing.manifest.kind} ${thing.id}`);
  const name = await env.DB.prepare('SELECT name FROM vector_names WHERE tenant = ? AND vector = ? LIMIT 1')
    .bind(tenant, thing.id)
    .first<{ name: string }>();
  if (name) throw new SextantError('conflict', `the vector name "${name.name}" points at ${thing.id}; change it first`);
  await env.DB.batch([
    env.DB.prepare('DELETE FROM things WHERE tenant = ? AND id = ?').bind(tenant, thing.id),
    env.DB.prepare('DELETE FROM blob_uses WHERE tenant = ? AND holder = ?').bind(tenant, thing.id),
  ]);
}
