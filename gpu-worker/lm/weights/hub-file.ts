/** Downloading one file: resumed where it stopped, checked against its digest, in place only when whole. */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { hubGet } from './hub-http.ts';
import { SILENCE_MS, whileArriving } from './hub-patience.ts';

export type HubFile = {
  name: string;
  size: number;
  /** SHA-256 of large files; the git object id (SHA-1 over a header and the bytes) of small ones. */
  digest: { sha256: string } | { git: string };
};

type DownloadOptions = {
  token?: string | undefined;
  /** A hub that sends nothing for this long is given up. */
  silence_ms?: number | undefined;
  progress?: (bytes: number) => void;
};

/** Downloads whose bytes turn out wrong begin once more from the start. */
const WRONG_TRIES = 2;

/**
 * Downloads `url` to `path`. Bytes of an earlier attempt in `path.part` are kept and the rest is asked for, for as long as
 * something arrives; bytes that turn out wrong are asked for once more.
 * @throws SextantError `weights_invalid` where size or digest differ, `model_unknown`, `unavailable`
 */
export async function download(url: string, path: string, file: HubFile, options: DownloadOptions = {}): Promise<void> {
  if (existsSync(path)) {
    return;
  }
  const part = `${path}.part`;
  const { silence_ms = SILENCE_MS } = options;
  for (let tries = 1; ; tries += 1) {
    try {
      await whileArriving((arrived) => fetchRest(url, part, file, { ...options, silence_ms, arrived }), silence_ms);
      await requireDigest(part, file);
      break;
    } catch (error) {
      if (!(error instanceof SextantError) || error.code !== 'weights_invalid' || tries === WRONG_TRIES) {
        throw error;
      }
    }
  }
  renameSync(part, path);
}

/** Raises `weights_invalid`, and leaves nothing, where the bytes are not those that the hub states. */
async function requireDigest(part: string, file: HubFile): Promise<void> {
  const digest = await digestOf(part, file);
  const expected = 'sha256' in file.digest ? file.digest.sha256 : file.digest.git;
  if (digest !== expected) {
    rmSync(part);
    throw new SextantError('weights_invalid', `${file.name}: the digest is ${digest}, the hub states ${expected}`);
  }
}

/** Asks for the bytes that are not there yet, and writes them behind those that are. */
async function fetchRest(
  url: string,
  part: string,
  file: HubFile,
  { token, progress, silence_ms, arrived }: DownloadOptions & { silence_ms: number; arrived: () => void },
): Promise<void> {
  const have = existsSync(part) ? statSync(part).size : 0;
  if (have === file.size && existsSync(part)) {
    return;
  }
  const from = have < file.size ? have : 0;
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), silence_ms);
  try {
    const headers: Record<string, string> = from > 0 ? { range: `bytes=${from}-` } : {};
    const response = await hubGet(url, { token, headers, signal: silence.signal });
    const resumed = from > 0 && isRest(response, from, file.size);
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
          throw longer(file);
        }
        timer.refresh();
        arrived();
        progress?.(chunk.length);
        yield chunk;
      }
    };
    const body = response.body ? Readable.fromWeb(response.body as never) : Readable.from([]);
    await pipeline(body, counted, createWriteStream(part, { flags: resumed ? 'a' : 'w' })).catch((error: unknown) => {
      if (error instanceof SextantError && error.code === 'weights_invalid') {
        rmSync(part, { force: true });
      }
      throw error;
    });
    if (written < file.size) {
      throw new SextantError('unavailable', `${file.name}: ${written} of ${file.size} bytes arrived`);
    }
  } finally {
    clearTimeout(timer);
  }
}

const longer = ({ name, size }: HubFile): SextantError =>
  new SextantError('weights_invalid', `${name}: longer than the ${size} bytes that the hub states`);

/**
 * Whether the body is the rest from `from` on. A 206 says so by its range. With 200 a Content-Range has no meaning (RFC
 * 9110, 14.4) and the body is the whole, unless its length too is that of the rest: something on the way changed the status.
 */
function isRest(response: Response, from: number, size: number): boolean {
  if (!response.headers.get('content-range')?.startsWith(`bytes ${from}-`)) {
    return false;
  }
  const length = response.headers.get('content-length');
  return response.status === 206 || (response.status === 200 && length !== null && Number(length) === size - from);
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
