/** Downloads by digest: a blob is fetched once per host and never believed before its bytes have been hashed. */
import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { SextantError } from '../../shared/contracts/problem.ts';

type RemoteBlob = { sha256: string; bytes: number; url: string };

const folderOf = (sha256: string, cache: string): string => join(cache, 'blobs', sha256.slice(0, 2));

/** Forgets the local copy, if there is one. */
export const dropBlob = (sha256: string, cache: string): Promise<void> =>
  rm(join(folderOf(sha256, cache), sha256), { force: true });

/** Path of the local copy. Raises `artefact_mismatch` when the bytes do not fit, `unavailable` when they cannot be read. */
export async function fetchBlob({ sha256, bytes, url }: RemoteBlob, cache: string): Promise<string> {
  const folder = folderOf(sha256, cache);
  const path = join(folder, sha256);
  if ((await stat(path).catch(() => null))?.size === bytes) {
    return path;
  }
  await mkdir(folder, { recursive: true });
  const partial = join(folder, `.${sha256}.${randomUUID()}`);
  try {
    const response = await fetch(url).catch((cause: unknown) => {
      throw new SextantError('unavailable', `the blob ${sha256} cannot be fetched`, { cause });
    });
    if (!response.ok || !response.body) {
      throw new SextantError('unavailable', `the blob ${sha256} cannot be fetched: ${response.status}`);
    }
    const hash = createHash('sha256');
    let received = 0;
    await pipeline(
      Readable.fromWeb(response.body),
      async function* check(chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          received += chunk.length;
          if (received > bytes) {
            break;
          }
          hash.update(chunk);
          yield chunk;
        }
      },
      createWriteStream(partial),
    );
    if (received !== bytes || hash.digest('hex') !== sha256) {
      throw new SextantError('artefact_mismatch', `the bytes fetched for the blob ${sha256} have another digest`);
    }
    // Renamed only when complete and checked, so that a file in the cache is always whole.
    await rename(partial, path);
    return path;
  } finally {
    await rm(partial, { force: true });
  }
}
