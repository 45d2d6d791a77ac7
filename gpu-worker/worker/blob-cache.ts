/** Downloads by digest: a blob is fetched once per host and never believed before its bytes have been hashed. */
import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { SextantError } from '../../shared/contracts/problem.ts';
import { repeatPassing } from './repeat.ts';

type RemoteBlob = { sha256: string; bytes: number; url: string };

const folderOf = (sha256: string, cache: string): string => join(cache, 'blobs', sha256.slice(0, 2));

/** Forgets the local copy, if there is one. */
export const dropBlob = (sha256: string, cache: string): Promise<void> =>
  rm(join(folderOf(sha256, cache), sha256), { force: true });

/** Tries of a blob whose bytes arrive whole but wrong. */
const WRONG_TRIES = 3;

/**
 * Path of the local copy; a network or bucket in trouble is asked again until the signal, or for as long as the process
 * lives, which ends with its lease. Raises `artefact_mismatch` when the bytes do not fit, `artefact_missing` when they are not to be had.
 */
export async function fetchBlob(blob: RemoteBlob, cache: string, signal: AbortSignal | null = null): Promise<string> {
  const folder = folderOf(blob.sha256, cache);
  const path = join(folder, blob.sha256);
  if ((await stat(path).catch(() => null))?.size === blob.bytes) {
    return path;
  }
  await mkdir(folder, { recursive: true });
  for (let tries = 1; ; tries += 1) {
    try {
      await repeatPassing(() => download(blob, folder, path), signal);
      return path;
    } catch (error) {
      if (!(error instanceof SextantError) || error.code !== 'artefact_mismatch' || tries === WRONG_TRIES) {
        throw error;
      }
    }
  }
}

async function download({ sha256, bytes, url }: RemoteBlob, folder: string, path: string): Promise<void> {
  const partial = join(folder, `.${sha256}.${randomUUID()}`);
  try {
    const response = await fetch(url).catch((cause: unknown) => {
      throw new SextantError('unavailable', `the blob ${sha256} cannot be fetched`, { cause });
    });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      const passing = response.status >= 500 || response.status === 429 || response.status === 408;
      const code = passing ? 'unavailable' : 'artefact_missing';
      throw new SextantError(code, `the blob ${sha256} cannot be fetched: ${response.status}`);
    }
    const received = await store(response.body, partial, bytes);
    if (received.broken) {
      throw new SextantError('unavailable', `the blob ${sha256} broke off after ${received.bytes} of ${bytes} bytes`);
    }
    if (received.bytes > bytes || received.sha256 !== sha256) {
      throw new SextantError('artefact_mismatch', `the bytes fetched for the blob ${sha256} have another digest`);
    }
    // Renamed only when complete and checked, so that a file in the cache is always whole.
    await rename(partial, path);
  } finally {
    await rm(partial, { force: true });
  }
}

/** Writes the body, up to one chunk beyond `limit`, and says what arrived, and whether the line broke. */
async function store(
  body: ReadableStream<Uint8Array>,
  file: string,
  limit: number,
): Promise<{ bytes: number; sha256: string; broken: boolean }> {
  const hash = createHash('sha256');
  let bytes = 0;
  let broken = false;
  await pipeline(async function* check() {
    const reader = body.getReader();
    for (;;) {
      const next = await reader.read().catch(() => {
        broken = true;
        return { done: true as const, value: undefined };
      });
      if (next.done) {
        return;
      }
      bytes += next.value.length;
      if (bytes > limit) {
        await reader.cancel();
        return;
      }
      hash.update(next.value);
      yield next.value;
    }
  }, createWriteStream(file));
  return { bytes, sha256: hash.digest('hex'), broken };
}
