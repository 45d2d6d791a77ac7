/** Deleting a published result of the tenant; its blobs go with the next clean-ups unless something else uses them. */
import { SextantError } from '../../shared/contracts/problem.ts';
import type { Env } from '../environment.ts';
import type { PublishedResult } from './reading.ts';

/** Raises not_found for a result of the public tenant, conflict while a vector name points at it. */
export async function deletePublished(env: Env, tenant: string, result: PublishedResult): Promise<void> {
  if (result.tenant !== tenant)
    throw new SextantError('not_found', `this tenant has no ${result.manifest.kind} ${result.id}`);
  const name = await env.DB.prepare('SELECT name FROM vector_names WHERE tenant = ? AND vector = ? LIMIT 1')
    .bind(tenant, result.id)
    .first<{ name: string }>();
  if (name)
    throw new SextantError('conflict', `the vector name "${name.name}" points at ${result.id}; change it first`);
  await env.DB.batch([
    env.DB.prepare('DELETE FROM published WHERE tenant = ? AND id = ?').bind(tenant, result.id),
    env.DB.prepare('DELETE FROM blob_uses WHERE tenant = ? AND holder = ?').bind(tenant, result.id),
  ]);
}
