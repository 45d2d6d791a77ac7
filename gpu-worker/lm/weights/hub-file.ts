/** Downloading one file: resumed where it stopped, checked against its digest, in place only when whole. */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { hubGet } from './hub-http.ts';

export type HubFile = {
  name: string;
  size: number;
  /** SHA-256 of large files; the git object id (SHA-1 over a header and the bytes) of small ones. */
  digest: { sha256: string } | { git: string };
};

type DownloadOptions = { token?: string | undefined; attempts?: number; progress?: (bytes: number) => void };

/**
 * Downloads `url` to `path`. Bytes of an earlier attempt in `path.part` are kept and the rest is asked for.
 * @throws SextantError `weights_invalid` where size or digest differ, `model_unknown`, `unavailable`
 */
export async function download(url: string, path: string, file: HubFile, options: DownloadOptions = {}): Promise<void> {
  if (existsSync(path)) {
    return;
  }
  const part = `${path}.part`;
  const { attempts = 4 } = options;
  for (let attempt = 1; ; attempt++) {
    try {
      await fetchRest(url, part, file, options);
      break;
    } catch (error) {
      const passing = !(error instanceof SextantError) || error.code === 'unavailable';
      if (!passing || attempt >= attempts) {
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 50 * 2 ** attempt));
    }
  }
  const digest = await digestOf(part, file);
  const expected = 'sha256' in file.digest ? file.digest.sha256 : file.digest.git;
  if (digest !== expected) {
    rmSync(part);
    throw new SextantError('weights_invalid', `${file.name}: the digest is ${digest}, the hub states ${expected}`);
  }
  renameSync(part, path);
}

async function fetchRest(
  url: string,
  part: string,
  file: HubFile,
  { token, progress }: DownloadOptions,
): Promise<void> {
  const have = existsSync(part) ? statSync(part).size : 0;
  if (have === file.size && existsSync(part)) {
    return;
  }
  const from = have < file.size ? have : 0;
  const response = await hubGet(url, { token, headers: from > 0 ? { range: `bytes=${from}-` } : {} });
  const resumed = response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${from}-`);
  if (from > 0 && !resumed && response.status !== 200) {
    await response.body?.cancel();
    rmSync(part);
    throw new SextantError('unavailable', `${file.name}: the hub does not resume at byte ${from}`);
  }
  let written = resumed ? from : 0;
  const counted = async function* (chunks: AsyncIterable<Uint8Array>) {
    for await (const chunk of chunks) {
      written += chunk.length;
      if (written > file.size) {
        throw new SextantError(
          'weights_invalid',
          `${file.name}: longer than the ${file.size} bytes that the hub states`,
        );
      }
      progress?.(chunk.length);
      yield chunk;
    }
  };
  const body = response.body ? Readable.fromWeb(response.body as never) : Readable.from([]);
  await pipeline(body, counted, createWriteStream(part, { flags: resumed ? 'a' : 'w' }));
  if (written < file.size) {
    throw new SextantError('unavailable', `${file.name}: ${written} of ${file.size} bytes arrived`);
  }
}

async function digestOf(path: string, file: HubFile): Promise<string> {
  const hash = createHash('sha256' in file.digest ? 'sha256' : 'sha1');
  if ('git' in file.digest) {
    hash.update(`blob ${file.size}\0`);
  }
  for await (const chunk of createReadStream(path)) {
    hash.update(chunk as Uint8Array);
  }
  return hash.digest('hex');
}
