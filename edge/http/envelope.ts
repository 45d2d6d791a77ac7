/** What every answer carries: a request id, the edge's clock, the rate limit. */
import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { SextantError } from '../../shared/contracts/problem.ts';
import { EDGE_TIME_HEADER } from '../../shared/contracts/worker-call.ts';
import { newTraceparent, nextSpan, readTraceparent } from '../../shared/signing/traceparent.ts';
import type { AppEnv } from '../environment.ts';
import { log } from '../log.ts';
import { type Allowance, rateLimit, rateLimitPolicy } from '../quota/allowance.ts';
import { drain } from './body.ts';

const WELL_FORMED = /^[A-Za-z0-9._:-]{8,64}$/;

let isolate: string | undefined;
let requests = 0;

/** The caller's request id where it is short and well-formed, else a new one: random for the isolate, then counted. */
export function requestIdOf(presented: string | null): string {
  if (presented !== null && WELL_FORMED.test(presented)) {
    return presented;
  }
  isolate ??= crypto.randomUUID().replaceAll('-', '').slice(0, 20);
  requests += 1;
  return `${isolate}-${requests.toString(36)}`;
}

/** Puts the changing headers of every answer on one that has none of them yet. `now` in ms since the epoch. */
export function stamp(headers: Headers, requestId: string, allowance: Allowance | undefined, now: number): void {
  headers.append('x-request-id', requestId);
  headers.append(EDGE_TIME_HEADER, String(now));
  if (allowance === undefined) {
    return;
  }
  headers.append('ratelimit-policy', rateLimitPolicy(allowance));
  headers.append('ratelimit', rateLimit(allowance, now));
}

/** Refuses an address whose percent-escapes are no UTF-8: what a router makes of it is not what was meant. */
export const decodable = createMiddleware<AppEnv>(async function decodable(c, next) {
  const { url } = c.req.raw;
  if (url.includes('%')) {
    try {
      decodeURIComponent(url);
    } catch {
      throw new SextantError('parameter_invalid', 'the address has escapes (%XX) that are not UTF-8');
    }
  }
  await next();
});

/** The request's traceparent: a part of the trace that the caller goes on with, or a trace of its own. */
export function traceOf(c: Context<AppEnv>): string {
  let trace = c.get('trace');
  if (trace === undefined) {
    const presented = readTraceparent(c.req.raw.headers.get('traceparent'));
    trace = presented ? nextSpan(presented) : newTraceparent();
    c.set('trace', trace);
  }
  return trace;
}

/** Workers say these every few seconds. */
const UNLOGGED = /^\/internal\/(workers\/announce|jobs\/[^/]+\/(heartbeat|tokens))$/;

/** One line for each request that changes something and for each that was refused. */
function logRequest(c: Context<AppEnv>, began: number): void {
  const { method } = c.req.raw;
  const { status } = c.res;
  const reads = method === 'GET' || method === 'HEAD';
  if (status < 400 && (reads || UNLOGGED.test(c.req.path))) {
    return;
  }
  const key = c.get('key') as AppEnv['Variables']['key'] | undefined;
  const fields = {
    trace: traceOf(c),
    request_id: c.get('requestId'),
    method,
    path: c.req.path.slice(0, 200),
    status,
    ...(c.error ? { code: c.error instanceof SextantError ? c.error.code : 'internal' } : {}),
    ...(key ? { tenant: key.tenant, key: key.id } : {}),
    ...c.get('noted'),
    ms: Date.now() - began,
  };
  log[status >= 500 ? 'error' : status >= 400 ? 'warn' : 'info']('request', fields);
}

export const envelope = createMiddleware<AppEnv>(async function envelope(c, next) {
  const began = Date.now();
  c.set('requestId', requestIdOf(c.req.raw.headers.get('x-request-id')));
  await next();
  if (c.res.status === 101) {
    return;
  }
  if (c.res.status >= 400) {
    await drain(c.req.raw);
  }
  // an answer that came from elsewhere, such as a Durable Object's, has headers that cannot be changed
  c.res = c.req.raw.method === 'HEAD' ? await withLength(c.res) : new Response(c.res.body, c.res);
  c.res.headers.set('x-content-type-options', 'nosniff');
  logRequest(c, began);
  const trace = c.get('trace');
  if (trace !== undefined) {
    // https://www.w3.org/TR/trace-context-2/#traceresponse-header
    c.res.headers.set('traceresponse', trace);
  }
  stamp(c.res.headers, c.get('requestId'), c.get('allowance'), Date.now());
});

/** The same answer with the length that its body has: HEAD tells it and leaves the body out. */
async function withLength(answer: Response): Promise<Response> {
  if (answer.headers.has('content-length') || answer.headers.get('content-type') === 'text/event-stream') {
    await answer.body?.cancel();
    return new Response(null, answer);
  }
  const length = (await answer.arrayBuffer()).byteLength;
  const measured = new Response(null, answer);
  measured.headers.set('content-length', String(length));
  return measured;
}
