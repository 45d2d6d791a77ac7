/** Puts an attempt's files into its staging area; the edge checks and promotes them when the job completes. */
import { openAsBlob } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { SextantError } from '../../shared/contracts/problem.ts';
import { type CompleteRequest, uploadsSchema } from '../../shared/contracts/worker-call.ts';
import type { WrittenArtefact } from './computation-messages.ts';
import type { EdgeCalls } from './edge-calls.ts';

/** Blobs per announcement. */
const BATCH = 256;
const CONCURRENT = 4;
const TRIES = 3;

/** Uploads what the tenant does not own yet; answers the list for the completion. Raises `unavailable`, `artefact_missing`. */
export async function uploadArtefacts(
  edge: EdgeCalls,
  job: string,
  fence: string,
  artefacts: readonly WrittenArtefact[],
): Promise<CompleteRequest['artefacts']> {
  const listed: CompleteRequest['artefacts'] = [];
  for (let from = 0; from < artefacts.length; from += BATCH) {
    const batch = artefacts.slice(from, from + BATCH);
    const blobs = batch.map(({ sha256, bytes }) => ({ sha256, bytes }));
    const { uploads } = await edge.post(`/internal/jobs/${job}/uploads`, { blobs }, { fence, schema: uploadsSchema });
    const waiting = batch.map((artefact, i) => ({ artefact, url: uploads[i]?.url ?? null }));
    const putNext = async (): Promise<void> => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        if (next.url) {
          await put(next.url, next.artefact);
        }
      }
    };
    await Promise.all(Array.from({ length: CONCURRENT }, putNext));
    for (const [i, { file: _file, ...blob }] of batch.entries()) {
      listed.push({ ...blob, n: uploads[i]?.n ?? 0 });
    }
  }
  return listed;
}

async function put(url: string, { file, name }: WrittenArtefact): Promise<void> {
  if (file === null) {
    throw new SextantError('artefact_missing', `the bytes of '${name}' are no longer kept`);
  }
  for (let tries = 1; ; tries += 1) {
    const problem = await fetch(url, { method: 'PUT', body: await openAsBlob(file) }).then(
      (response) => (response.ok ? null : `${response.status}`),
      (error: unknown) => String(error),
    );
    if (problem === null) {
      return;
    }
    if (tries === TRIES) {
      throw new SextantError('unavailable', `the artefact '${name}' cannot be uploaded: ${problem}`);
    }
    await sleep(500 * 2 ** tries);
  }
}
