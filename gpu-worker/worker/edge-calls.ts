/** Signed calls to the edge's internal routes. */
import type { z } from 'zod';
import { PROBLEMS, type ProblemCode, SextantError } from '../../shared/contracts/problem.ts';
import { problemSchema } from '../../shared/contracts/problem-document.ts';
import type { SigningKey } from '../../shared/signing/envelope.ts';
import { nextSpan } from '../../shared/signing/traceparent.ts';
import { signWorkerCall } from '../../shared/signing/worker-call.ts';
import type { EdgeClock } from './clock.ts';

const TIMEOUT_MS = 30_000;
/** Answers are small: packing and unpacking one takes longer than its bytes do. */
export const UNPACKED = { 'accept-encoding': 'identity' };

type PostOptions<S extends z.ZodType> = {
  fence: string | null;
  schema: S;
  timeout_ms?: number | undefined;
  /** Ends the call before its time. */
  signal?: AbortSignal | undefined;
};

export class EdgeCalls {
  readonly #url: string;
  readonly #key: SigningKey;
  readonly #clock: EdgeClock;

  /** Traceparent that the calls carry. */
  readonly trace: string | null;

  constructor(url: string, key: SigningKey, clock: EdgeClock, trace: string | null = null) {
    this.#url = url.replace(/\/$/, '');
    this.#key = key;
    this.#clock = clock;
    this.trace = trace;
  }

  /** The same calls, as parts of a trace. */
  within(trace: string): EdgeCalls {
    return new EdgeCalls(this.#url, this.#key, this.#clock, trace);
  }

  /**
   * Posts `body` under the fencing token and reads the answer. Raises the SextantError that the edge answered with;
   * what never reached it is an `unavailable`.
   */
  async post<S extends z.ZodType>(
    path: string,
    body: unknown,
    { fence, schema, timeout_ms = TIMEOUT_MS, signal }: PostOptions<S>,
  ): Promise<z.output<S>> {
    const bytes = new TextEncoder().encode(JSON.stringify(body));
    return this.#call('POST', path, bytes, { fence, schema, timeout_ms, signal });
  }

  /** Reads under the worker's signature, which covers the path without its query. Raises as `post`. */
  get<S extends z.ZodType>(path: string, query: string, schema: S): Promise<z.output<S>> {
    return this.#call('GET', path, new Uint8Array(), { fence: null, schema, timeout_ms: TIMEOUT_MS }, query);
  }

  async #call<S extends z.ZodType>(
    method: 'GET' | 'POST',
    path: string,
    bytes: Uint8Array<ArrayBuffer>,
    { fence, schema, timeout_ms, signal }: PostOptions<S> & { timeout_ms: number },
    query = '',
  ): Promise<z.output<S>> {
    for (let tries = 1; ; tries += 1) {
      const sent_at = Date.now();
      const authorization = await signWorkerCall(
        this.#key,
        { method, path, body: bytes, fence },
        this.#clock.now() / 1000,
      );
      const response = await this.#send(`${path}${query}`, {
        method,
        authorization,
        bytes,
        signal: AbortSignal.any([AbortSignal.timeout(Math.ceil(timeout_ms)), ...(signal ? [signal] : [])]),
      });
      this.#clock.learn(response.headers, sent_at);
      const answer: unknown = await response.json().catch(() => undefined);
      if (response.ok) {
        const read = schema.safeParse(answer);
        if (!read.success) {
          // cut on the way, or written by something between here and the edge: asked again
          const what = answer === undefined ? 'broke off' : 'has another form than it should';
          throw new SextantError('unavailable', `the edge's answer ${what}`);
        }
        return read.data;
      }
      const refusal = refusalOf(response, answer);
      // The refusal told the edge's time; the second try is signed with it.
      if (refusal.code !== 'clock_skew' || tries > 1) {
        throw refusal;
      }
    }
  }

  /** A WebSocket whose opening is signed; whether the edge takes it, its events tell. */
  async socket(path: string): Promise<WebSocket> {
    const call = { method: 'GET', path, body: new Uint8Array(), fence: null };
    const authorization = await signWorkerCall(this.#key, call, this.#clock.now() / 1000);
    return new WebSocket(`${this.#url.replace(/^http/, 'ws')}${path}`, { headers: { authorization } });
  }

  /** Reads the edge's public signing keys, unsigned. */
  async keySet(): Promise<unknown> {
    const sent_at = Date.now();
    const response = await fetch(`${this.#url}/.well-known/jwks.json`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    this.#clock.learn(response.headers, sent_at);
    if (!response.ok) {
      throw new Error(`the key set: ${response.status}`);
    }
    return response.json();
  }

  #send(
    path: string,
    {
      method,
      authorization,
      bytes,
      signal,
    }: { method: 'GET' | 'POST'; authorization: string; bytes: Uint8Array<ArrayBuffer>; signal: AbortSignal },
  ): Promise<Response> {
    return fetch(`${this.#url}${path}`, {
      method,
      headers: {
        authorization,
        'content-type': 'application/json',
        ...UNPACKED,
        ...(this.trace ? { traceparent: nextSpan(this.trace) } : {}),
      },
      ...(method === 'POST' ? { body: bytes } : {}),
      signal,
    }).catch((cause: unknown) => {
      throw new SextantError('unavailable', `the edge cannot be reached: ${String(cause)}`, { cause });
    });
  }
}

function refusalOf(response: Response, answer: unknown): SextantError {
  const problem = problemSchema.safeParse(answer);
  const code =
    problem.success && Object.hasOwn(PROBLEMS, problem.data.code) ? (problem.data.code as ProblemCode) : null;
  if (problem.success && code && code !== 'internal') {
    return new SextantError(code, problem.data.detail);
  }
  return new SextantError('unavailable', `the edge answered ${response.status}`);
}

/** Errors that another try may cure. */
export const isPassing = (error: unknown): boolean =>
  error instanceof SextantError && (error.code === 'unavailable' || error.code === 'quota_exceeded');
