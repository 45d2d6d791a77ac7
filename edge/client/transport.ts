/** One request and its answer: address, key, retries, errors. Resources say what, this says how. */
import type { Problem } from '../../shared/contracts/problem-document.ts';
import { AnswerLostError, ApiError, NetworkError, SextantClientError, UnexpectedAnswerError } from './errors.ts';
import { delayMs, isPassing, retryAfterS, sleep } from './retry.ts';

export type SextantOptions = {
  /** Where the service is, such as `https://sextant.example`. */
  url: string | URL;
  /** An API key, or what gives the current one; kept in memory only and never in an address. */
  key?: string | (() => string | Promise<string>);
  /** How often a request is tried again; 4 unless named. */
  retries?: number;
  /** The longest `Retry-After` that is waited for, in seconds; 60 unless named. What asks for more is raised at once. */
  longestWaitS?: number;
  /** Instead of the runtime's own. */
  fetch?: (input: string, init: RequestInit) => Promise<Response>;
  /** A number from 0 to 1, for the jitter of retries. */
  random?: () => number;
};

/** What every method takes last. */
export type CallOptions = { signal?: AbortSignal };
/** What a method that creates something takes last. */
export type CreateOptions = CallOptions & {
  /** Made here unless given: calls under one key create one thing. */
  idempotencyKey?: string;
};

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;
type Call = CreateOptions & {
  query?: Query | undefined;
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as it is, with its content type. */
  raw?: { type: string; bytes: string | Uint8Array<ArrayBuffer> };
  headers?: Readonly<Record<string, string | undefined>>;
  /** Without the key. */
  open?: boolean;
  /** Twice is not once: tried again only where the service says that it did nothing. */
  unrepeatable?: boolean;
};

export class Transport {
  readonly url: string;
  readonly #options: Omit<SextantOptions, 'url'>;
  constructor({ url, ...options }: SextantOptions) {
    const parsed = URL.canParse(String(url)) ? new URL(url) : null;
    if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
      throw new TypeError(
        `url: an address such as https://sextant.example is expected, not ${JSON.stringify(String(url))}`,
      );
    }
    this.url = parsed.href.replace(/\/+$/, '').replace(/[?#].*$/, '');
    this.#options = options;
  }

  /** The answer's JSON. @throws ApiError, NetworkError, UnexpectedAnswerError, and the signal's reason */
  json<T>(method: string, path: string, call: Call = {}): Promise<T> {
    return this.#retried(method, path, call, async (answer) => {
      if (answer.headers.has('idempotency-replayed') && answer.headers.get('content-type') === null) {
        throw new AnswerLostError(answer.headers.get('location') ?? path);
      }
      if (!/^application\/(?:[\w.-]+\+)?json\b/i.test(answer.headers.get('content-type') ?? '')) {
        throw await stranger(answer, this.url);
      }
      // what breaks off here is a lost connection, and is tried again as one
      const text = await answer.text();
      try {
        return JSON.parse(text) as T;
      } catch {
        throw new CutShort(`the answer to ${method} ${path} is no whole JSON`);
      }
    });
  }

  /** For requests whose answer has no body. Raises as `json`. */
  async nothing(method: string, path: string, call: Call = {}): Promise<void> {
    await this.#retried(method, path, call, async (answer) => void (await answer.body?.cancel()));
  }

  /** The answer as it came, its body unread; an error once it has begun is the reader's. Raises as `json`. */
  response(method: string, path: string, call: Call = {}): Promise<Response> {
    return this.#retried(method, path, call, (answer) => Promise.resolve(answer));
  }

  /**
   * Sends bytes to an address that the service signed, without the key. Raises as `json`; an address that is over has
   * its answer raised as it came.
   */
  async put(address: string, bytes: Blob, { signal }: CallOptions): Promise<void> {
    const { retries = 4, random = Math.random } = this.#options;
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await this.#fetch(address, { method: 'PUT', body: bytes, ...(signal ? { signal } : {}) });
        await answer.body?.cancel();
        if (answer.ok) {
          return;
        }
        if (!isPassing(answer.status, '') || attempt >= retries) {
          throw new UnexpectedAnswerError(
            `the upload was answered with status ${answer.status}; upload it again for another address`,
            answer.status,
          );
        }
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof SextantClientError) {
          throw error;
        }
        if (attempt >= retries) {
          throw new NetworkError(`the upload broke off (${reasonOf(error)}); upload it again`, { cause: error });
        }
      }
      await sleep(delayMs(attempt, null, random), signal);
    }
  }

  async #retried<T>(method: string, path: string, call: Call, read: (answer: Response) => Promise<T>): Promise<T> {
    const { retries = 4, longestWaitS = 60, random = Math.random } = this.#options;
    const { signal } = call;
    const init = this.#init(method, call);
    const address = this.url + path + queryOf(call.query);
    for (let attempt = 0; ; attempt++) {
      signal?.throwIfAborted();
      const headers = await this.#headers(init.headers, call);
      let waitS: number | null = null;
      try {
        const answer = await this.#fetch(address, { ...init, headers });
        if (answer.ok || answer.status === 304) {
          return await read(answer);
        }
        const error = await problemOf(answer, this.url);
        waitS = error instanceof ApiError ? error.retryAfterS : null;
        const code = error instanceof ApiError ? error.code : '';
        const harmless = !call.unrepeatable || [409, 429, 503].includes(answer.status);
        if (!isPassing(answer.status, code) || !harmless || attempt >= retries || (waitS ?? 0) > longestWaitS) {
          throw error;
        }
      } catch (error) {
        signal?.throwIfAborted();
        // all else is what happened on the way, which every runtime raises in its own manner
        if (error instanceof SextantClientError) {
          throw error;
        }
        if (attempt >= retries || call.unrepeatable) {
          throw new NetworkError(
            `${method} ${path}: no whole answer from ${this.url} (${reasonOf(error)}); is the address right, and the service up?`,
            { cause: error },
          );
        }
      }
      await sleep(delayMs(attempt, waitS, random), signal);
    }
  }

  #fetch(address: string, init: RequestInit): Promise<Response> {
    return this.#options.fetch ? this.#options.fetch(address, init) : fetch(address, init);
  }

  #init(
    method: string,
    { body, raw, headers, idempotencyKey, signal }: Call,
  ): RequestInit & { headers: Record<string, string> } {
    const sent: Record<string, string> = {};
    for (const [name, value] of Object.entries(headers ?? {})) {
      if (value !== undefined) {
        sent[name] = value;
      }
    }
    if (method === 'POST') {
      sent['idempotency-key'] = idempotencyKey ?? crypto.randomUUID();
    }
    if (body !== undefined || raw) {
      sent['content-type'] = raw?.type ?? 'application/json';
    }
    return {
      method,
      headers: sent,
      // the API does not redirect, and a key is for one origin
      redirect: 'manual',
      ...(raw ? { body: raw.bytes } : body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    };
  }

  async #headers(sent: Record<string, string>, { open }: Call): Promise<Record<string, string>> {
    const { key } = this.#options;
    const text = open ? undefined : typeof key === 'function' ? await key() : key;
    if (text === undefined) {
      return sent;
    }
    if (!/^[\x21-\x7e]+$/.test(text)) {
      throw new TypeError(
        'key: an API key is one word of printable characters, such as sextant_...; is there a blank or a line end in it?',
      );
    }
    return { ...sent, authorization: `Bearer ${text}` };
  }
}

/** An answer that ended before it was whole. */
class CutShort extends Error {}

/** What a runtime says of a lost connection; Node says it in the cause. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  const told = cause instanceof Error ? cause : error;
  return told instanceof Error ? told.message || ((told as { code?: string }).code ?? told.name) : String(told);
}

function queryOf(query: Query = {}): string {
  const pairs = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
  return pairs.length > 0 ? `?${new URLSearchParams(Object.fromEntries(pairs))}` : '';
}

async function problemOf(answer: Response, url: string): Promise<ApiError | UnexpectedAnswerError> {
  const wait = retryAfterS(answer.headers, Date.now());
  if (/^application\/problem\+json\b/i.test(answer.headers.get('content-type') ?? '')) {
    try {
      return new ApiError((await answer.json()) as Problem, wait);
    } catch {
      // no problem document after all
    }
  }
  const shaped = await openAiError(answer);
  return shaped ? new ApiError(shaped, wait) : stranger(answer, url);
}

/** Routes in OpenAI's shape say their errors in its shape too, with a code of the same union; null for anything else. */
async function openAiError(answer: Response): Promise<Problem | null> {
  if (!/^application\/json\b/i.test(answer.headers.get('content-type') ?? '')) {
    return null;
  }
  const body = (await answer.json().catch(() => null)) as { error?: { message?: string; code?: string } } | null;
  if (typeof body?.error?.message !== 'string' || typeof body.error.code !== 'string') {
    return null;
  }
  const { code, message } = body.error;
  const request_id = answer.headers.get('x-request-id') ?? '';
  const { status } = answer;
  return { type: `/problems/${code}`, title: code, status, detail: message, instance: '', code, request_id };
}

/** Something that is not Sextant answered. */
async function stranger(answer: Response, url: string): Promise<UnexpectedAnswerError> {
  if (!answer.bodyUsed) {
    await answer.body?.cancel().catch(() => undefined);
  }
  const kind = answer.headers.get('content-type') ?? 'no content type';
  const moved = answer.headers.get('location');
  return new UnexpectedAnswerError(
    `${url} answers with status ${answer.status} and ${kind}${moved ? `, pointing to ${moved}` : ''}, as Sextant does not; is this its address, without a path?`,
    answer.status,
  );
}
