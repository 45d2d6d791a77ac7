/** What workers are to drop from their caches: digests of deleted blobs and of the ids of deleted jobs. */
import type { Env } from '../environment.ts';

/** Notes digests, of blobs or of ids of jobs, given as a JSON list, for workers to drop. */
export const noteDeletions = (env: Env, list: string, now: number): D1PreparedStatement =>
  env.DB.prepare('INSERT INTO deletions (sha256, at) SELECT value, ?2 FROM json_each(?1)').bind(list, now);

/** Deleted blobs after the cursor, oldest first, and the cursor to go on from. */
export async function deletionsAfter(
  env: Env,
  after: number,
): Promise<{ cursor: number; deletions: { sha256: string }[] }> {
  const { results } = await env.DB.prepare('SELECT seq, sha256 FROM deletions WHERE seq > ? ORDER BY seq LIMIT 1000')
    .bind(after)
    .all<{ seq: number; sha256: string }>();
  return { cursor: results.at(-1)?.seq ?? after, deletions: results.map(({ sha256 }) => ({ sha256 })) };
}
