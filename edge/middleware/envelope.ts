/** What every answer carries: a request id, the edge's clock, the rate limit. */
import { createMiddleware } from 'hono/factory';
import { EDGE_TIME_HEADER } from '../../shared/contracts/worker-call.ts';
import type { AppEnv } from '../environment.ts';
import { rateLimitHeaders } from '../quota/lease.ts';

const WELL_FORMED = /^[A-Za-z0-9._:-]{8,64}$/;

/** The caller's request id where it is short and well-formed, else a new one. */
export const requestIdOf = (presented: string | null): string =>
  presented !== null && WELL_FORMED.test(presented) ? presented : crypto.randomUUID();

export const envelope = createMiddleware<AppEnv>(async function envelope(c, next) {
  c.set('requestId', requestIdOf(c.req.raw.headers.get('x-request-id')));
  await next();
  const now = Date.now();
  c.header('x-request-id', c.get('requestId'));
  c.header(EDGE_TIME_HEADER, String(now));
  c.header('x-content-type-options', 'nosniff');
  const allowance = c.get('allowance');
  if (allowance) for (const [name, value] of rateLimitHeaders(allowance, now)) c.header(name, value);
});
