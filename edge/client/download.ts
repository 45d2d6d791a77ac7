/** Bytes of an artefact as they come; a connection that breaks is taken up where it broke, and the digest is checked. */
import { ApiError, IntegrityError, NetworkError, UnexpectedAnswerError } from './errors.ts';
import { delayMs, sleep } from './retry.ts';
import { type Hasher, sha256 } from './sha256.ts';
import type { CallOptions, Transport } from './transport.ts';

export type DownloadOptions = CallOptions & {
  /** Bytes that the caller has already, from the beginning; they are counted into the digest as they are given. */
  from?: { bytes: number; digest: Hasher; etag: string };
  /** Told of the size and the digest before the first byte. */
  onStart?: (about: { bytes: number; sha256: string; resumedAt: number }) => void;
};

/** Connections that broke without one new byte before the network counts as lost. */
const MOST_BARREN = 5;

/**
 * @throws IntegrityError after the last byte, where the bytes are not those of the digest: throw away what was written
 */
export async function* download(
  transport: Transport,
  path: string,
  { signal, from, onStart }: DownloadOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  const digest = from?.digest ?? sha256();
  let [at, etag, size] = [from?.bytes ?? 0, from?.etag ?? '', -1];
  for (let barren = 0; size < 0 || at < size; ) {
    const answer = await transport.response('GET', path, {
      headers: at > 0 ? { range: `bytes=${at}-`, 'if-range': etag } : {},
      ...(signal ? { signal } : {}),
    });
    const whole = sizeOf(answer);
    if (size >= 0 && answer.headers.get('etag') !== etag) {
      throw new IntegrityError(`${path} changed while it was downloaded; begin again`);
    }
    if (at > 0 && answer.status !== 206) {
      await answer.body?.cancel();
      throw new IntegrityError(`${path} is not what the first ${at} bytes were of; begin again without them`);
    }
    if (size < 0) {
      [size, etag] = [whole, answer.headers.get('etag') ?? ''];
      onStart?.({ bytes: size, sha256: etag.replaceAll('"', ''), resumedAt: at });
    }
    const before = at;
    try {
      for await (const bytes of chunksOf(answer)) {
        digest.update(bytes);
        at += bytes.byteLength;
        yield bytes;
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof BrokenOff)) {
        throw error;
      }
    }
    if (at < size) {
      barren = at === before ? barren + 1 : 0;
      if (barren >= MOST_BARREN) {
        throw new NetworkError(`${path} broke off ${MOST_BARREN} times in a row at byte ${at} of ${size}`);
      }
      await sleep(delayMs(barren, null, Math.random), signal);
    }
  }
  const [found, promised] = [digest.hex(), etag.replaceAll('"', '')];
  if (at !== size || (/^[0-9a-f]{64}$/.test(promised) && found !== promised)) {
    throw new IntegrityError(
      `the ${at} bytes of ${path} have the digest ${found}, where ${size} bytes of ${promised} were promised; download them again`,
    );
  }
}

class BrokenOff extends Error {}

/** Errors of the connection, apart from those of whoever takes the bytes. */
async function* chunksOf(answer: Response): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  const reader = (answer.body ?? new Blob([]).stream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw new BrokenOff('the connection broke off', { cause: error });
      });
      if (done) {
        return;
      }
      yield value as Uint8Array<ArrayBuffer>;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** Bytes of the whole artefact. */
function sizeOf(answer: Response): number {
  const total = /\/(\d+)$/.exec(answer.headers.get('content-range') ?? '')?.[1] ?? answer.headers.get('content-length');
  if (total === null || !/^\d+$/.test(total)) {
    throw new UnexpectedAnswerError(
      'the answer does not say how many bytes it has; is a proxy in between?',
      answer.status,
    );
  }
  return Number(total);
}

/** Whether an error says that the caller holds more than the artefact has. */
export const isPastTheEnd = (error: unknown): boolean =>
  error instanceof ApiError && error.code === 'range_unsatisfiable';
