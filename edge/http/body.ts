/** JSON bodies are bounded, decoded and checked for depth and names before anything looks at them. */
import { createMiddleware } from 'hono/factory';
import { DEPTH_LIMIT, JSON_LIMIT } from '../../shared/contracts/body-limit.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { AppEnv } from '../environment.ts';
import { checkJsonText } from './json-text.ts';

/** Where what is larger than a body may be is taken: by jobs of a type, once it is uploaded, or as the text says. */
export type Otherwise = string | { advice: string };

/** Takes a JSON body of at most `limit` bytes; leaves its bytes in the variable `body`. See `readBounded` for `otherwise`. */
export const jsonBody = (limit: number = JSON_LIMIT, otherwise?: Otherwise) =>
  createMiddleware<AppEnv>(async function jsonBody(c, next) {
    checkContentType(c.req.raw.headers);
    const bytes = await readBounded(c.req.raw, limit, otherwise);
    const text = decodeUtf8(bytes);
    checkJsonText(text, DEPTH_LIMIT);
    try {
      JSON.parse(text);
    } catch (cause) {
      throw new SextantError('body_malformed', `the body is not JSON: ${(cause as Error).message.slice(0, 200)}`);
    }
    c.set('body', bytes);
    // the validators read the body through Hono's cache from here on
    c.req.bodyCache.text = Promise.resolve(text) as unknown as string;
    await next();
  });

/** Whether a content type names no charset but UTF-8, which is also what is meant where it names none. */
export function charsetIsUtf8(contentType: string): boolean {
  const parameters = contentType.toLowerCase().split(';').slice(1);
  const charset = parameters.map((p) => p.trim()).find((p) => p.startsWith('charset='));
  return charset === undefined || /^charset="?utf-?8"?$/.test(charset);
}

function checkContentType(headers: Headers): void {
  const presented = headers.get('content-type') ?? '';
  const essence = presented.toLowerCase().split(';')[0]!.trim();
  if (!/^application\/([a-z0-9.-]+\+)?json$/.test(essence) || !charsetIsUtf8(presented)) {
    throw new SextantError(
      'media_type_unsupported',
      `the content type is ${presented ? `"${presented.slice(0, 100)}"` : 'missing'}; send application/json in UTF-8`,
      { details: { accepted: ['application/json'] } },
    );
  }
  const encoding = headers.get('content-encoding');
  if (encoding !== null && encoding.toLowerCase() !== 'identity') {
    throw new SextantError('media_type_unsupported', 'the body must be sent without a content encoding');
  }
}

/**
 * The body's bytes. Raises body_too_large as soon as there are more than `limit`, reading no further; the error says
 * what takes what is larger.
 */
export async function readBounded(
  request: Request,
  limit: number,
  otherwise?: Otherwise,
): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = (): SextantError => {
    const detail = `the body may have at most ${limit} bytes`;
    if (typeof otherwise !== 'string') {
      return new SextantError('body_too_large', otherwise ? `${detail}; ${otherwise.advice}` : detail);
    }
    return new SextantError('body_too_large', `${detail}; upload it and create a job of type ${otherwise} instead`, {
      details: { job_type: otherwise },
    });
  };
  if (Number(request.headers.get('content-length') ?? 0) > limit) {
    throw tooLarge();
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = request.body?.getReader();
  while (reader) {
    const { done, value } = await reader.read().catch((cause: unknown) => {
      throw new SextantError('body_malformed', 'the body broke off before its end, or its chunks are damaged', {
        cause,
      });
    });
    if (done) {
      break;
    }
    size += value.byteLength;
    if (size > limit) {
      reader.releaseLock();
      throw tooLarge();
    }
    chunks.push(value);
  }
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

/** How much of an unread body is taken in after all, and for how long, so that its sender gets to read the answer. */
const [DRAIN_LIMIT, DRAIN_MS] = [32 * 1024 * 1024, 2000];
/** A sender that pauses for so long gets its answer now. */
const STALL_MS = 100;

/**
 * Reads on and forgets: a client that still writes when the answer comes sees a broken connection instead of it. A
 * refusal waits for a body that comes, never for one that does not.
 */
export async function drain(request: Request): Promise<void> {
  const { body } = request;
  if (!body || body.locked) {
    return;
  }
  const reader = body.getReader();
  const end = Date.now() + DRAIN_MS;
  for (let left = DRAIN_LIMIT; left > 0 && Date.now() < end; ) {
    const part = await within(STALL_MS, reader.read());
    if (part === null || part.done) {
      break;
    }
    left -= part.value.byteLength;
  }
  // what is left is nobody's: neither its end nor its failure is waited for
  reader.cancel().catch(() => undefined);
}

/** What `reading` gives within `ms`; null where it fails or takes longer. */
async function within<T>(ms: number, reading: Promise<T>): Promise<T | null> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const silence = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, ms, null);
  });
  try {
    return await Promise.race([reading.catch(() => null), silence]);
  } finally {
    clearTimeout(timer);
  }
}

export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw new SextantError('body_malformed', 'the body is not valid UTF-8');
  }
}
