/** Drops from this host's cache what its owners have deleted, within half a minute. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { deletionsSchema } from '../../shared/contracts/worker-call.ts';
import { dropBlob } from './blob-cache.ts';
import type { EdgeCalls } from './edge-calls.ts';

const INTERVAL_MS = 20_000;

/** Follows the edge's deletions until the signal; where it stands outlives the process. */
export async function followDeletions(edge: EdgeCalls, cache: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // what cannot be read now is read at the next time
    await dropDeleted(edge, cache).catch(() => {});
    await sleep(INTERVAL_MS, undefined, { signal }).catch(() => {});
  }
}

export async function dropDeleted(edge: Pick<EdgeCalls, 'get'>, cache: string): Promise<void> {
  const file = join(cache, 'deletions-cursor');
  let cursor = Number(await readFile(file, 'utf8').catch(() => '0')) || 0;
  for (;;) {
    const page = await edge.get('/internal/deletions', `?after=${cursor}`, deletionsSchema);
    if (page.deletions.length === 0) {
      return;
    }
    for (const { sha256 } of page.deletions) {
      await dropBlob(sha256, cache);
    }
    cursor = page.cursor;
    await mkdir(cache, { recursive: true });
    await writeFile(`${file}.next`, String(cursor));
    await rename(`${file}.next`, file);
  }
}
