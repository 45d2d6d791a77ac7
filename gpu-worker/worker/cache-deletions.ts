/** Drops from this host's cache what its owners have deleted, within half a minute: blobs, and what it remembers of jobs. */
import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { deletionsSchema } from '../../shared/contracts/worker-call.ts';
import { dropBlob } from './blob-cache.ts';
import type { EdgeCalls } from './edge-calls.ts';
import { dropMemory } from './job-memory.ts';

const INTERVAL_MS = 20_000;
/** The edge keeps deletions for seven days. */
const FOLLOWED_MS = 6 * 86_400_000;
const CURSOR = 'deletions-cursor';

/** What else keeps things of owners. */
type Forgetful = { forget(digests: readonly string[]): void };

/** Follows the edge's deletions until the signal; where it stands outlives the process. */
export async function followDeletions(
  edge: EdgeCalls,
  cache: string,
  signal: AbortSignal,
  computations: Forgetful,
): Promise<void> {
  while (!signal.aborted) {
    // what cannot be read now is read at the next time
    await dropStale(cache, Date.now())
      .then(() => dropDeleted(edge, cache, computations))
      .catch(() => {});
    await sleep(INTERVAL_MS, undefined, { signal }).catch(() => {});
  }
}

/**
 * Empties a cache that has not followed the deletions for nearly as long as the edge keeps them: what went meanwhile may
 * never be told. `now` in ms.
 */
export async function dropStale(cache: string, now: number): Promise<void> {
  const followed = await stat(join(cache, CURSOR)).catch(() => null);
  if (followed && now - followed.mtimeMs > FOLLOWED_MS) {
    await Promise.all(['blobs', 'jobs'].map((part) => rm(join(cache, part), { recursive: true, force: true })));
  }
}

export async function dropDeleted(edge: Pick<EdgeCalls, 'get'>, cache: string, computations: Forgetful): Promise<void> {
  const file = join(cache, CURSOR);
  let cursor = Number(await readFile(file, 'utf8').catch(() => '0')) || 0;
  for (;;) {
    const page = await edge.get('/internal/deletions', `?after=${cursor}`, deletionsSchema);
    if (page.deletions.length === 0) {
      // followed up to now, whether or not there was anything
      const now = new Date();
      await mkdir(cache, { recursive: true });
      return utimes(file, now, now).catch(() => writeFile(file, String(cursor)));
    }
    for (const { sha256 } of page.deletions) {
      await dropBlob(sha256, cache);
      await dropMemory(sha256, cache);
    }
    computations.forget(page.deletions.map(({ sha256 }) => sha256));
    cursor = page.cursor;
    await mkdir(cache, { recursive: true });
    await writeFile(`${file}.next`, String(cursor));
    await rename(`${file}.next`, file);
  }
}
