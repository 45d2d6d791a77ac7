/** Deleting a published result of the tenant, and its blobs unless something else uses them. */
import { SextantError } from '../../shared/contracts/problem.ts';
import { releaseBlobs } from '../artefacts/release.ts';
import { type AuditEvent, audited } from '../audit/log.ts';
import type { Env } from '../environment.ts';
import type { PublishedResult } from './reading.ts';

/** What cannot go on without the result: vector names that point at it, results that are of this model, recipes that name it. */
async function usersOf(env: Env, tenant: string, id: string): Promise<string[]> {
  const { results } = await env.DB.prepare(
    `SELECT name AS user FROM vector_names WHERE tenant = ?1 AND vector = ?2
     UNION ALL SELECT id FROM published WHERE tenant = ?1 AND manifest ->> 'model' = ?2
     UNION ALL SELECT r.id FROM recipes r JOIN recipe_versions v ON v.recipe = r.id AND v.version = r.latest
       WHERE r.tenant = ?1 AND instr(v.body, ?2) > 0 LIMIT 100`,
  )
    .bind(tenant, id)
    .all<{ user: string }>();
  return results.map(({ user }) => user);
}

/**
 * Deletes the result; `event` says in whose name, and `more` goes in the same transaction.
 * Raises not_found for a result of the public tenant, conflict with the list of what uses it.
 */
export async function deletePublished(
  env: Env,
  event: AuditEvent,
  result: PublishedResult,
  more: readonly D1PreparedStatement[] = [],
): Promise<void> {
  const { id, manifest } = result;
  const { tenant } = event;
  if (result.tenant !== tenant) {
    throw new SextantError('not_found', `this tenant has no ${manifest.kind} ${id}`);
  }
  const users = await usersOf(env, tenant, id);
  if (users.length > 0) {
    throw new SextantError(
      'conflict',
      `${users.map((user) => `"${user}"`).join(', ')} would point at nothing; change that first`,
      {
        errors: users.map((detail) => ({ pointer: '', code: 'in_use', detail })),
      },
    );
  }
  await audited(env, event, [
    ...more,
    env.DB.prepare('DELETE FROM published WHERE tenant = ? AND id = ?').bind(tenant, id),
    env.DB.prepare('DELETE FROM blob_uses WHERE tenant = ? AND holder = ?').bind(tenant, id),
  ]);
  await releaseBlobs(
    env,
    tenant,
    manifest.blobs.map(({ sha256 }) => sha256),
    Date.now(),
  );
}
