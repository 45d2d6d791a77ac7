/**
 * Cross-origin requests (https://fetch.spec.whatwg.org/#http-cors-protocol) of browsers from origins that the operator listed
 * in `CORS_ORIGINS`. A key travels in `Authorization`, so that credentials of the browser's own are neither asked for nor taken.
 */
import { createMiddleware } from 'hono/factory';
import type { AppEnv } from '../environment.ts';

const METHODS = 'GET, HEAD, POST, PUT, DELETE';
const REQUEST_HEADERS = [
  'Authorization',
  'Content-Type',
  'Idempotency-Key',
  'If-Match',
  'If-None-Match',
  'Last-Event-ID',
  'Prefer',
  'Range',
  'Traceparent',
  'X-Request-Id',
].join(', ');
const EXPOSED = [
  'Accept-Ranges',
  'Content-Range',
  'ETag',
  'Idempotency-Replayed',
  'Link',
  'Location',
  'Preference-Applied',
  'RateLimit',
  'RateLimit-Policy',
  'Retry-After',
  'Server-Timing',
  'Traceresponse',
  'X-Request-Id',
].join(', ');
/** Browsers keep a preflight's answer no longer than two hours. */
const PREFLIGHT_S = 7200;

/** Whether a page of this origin may call; origins are listed exactly, separated by commas. */
const isListed = (origin: string, origins: string | undefined): boolean =>
  (origins ?? '').split(',').some((listed) => listed.trim() === origin);

export const cors = createMiddleware<AppEnv>(async function cors(c, next) {
  const origin = c.req.raw.headers.get('origin');
  if (origin === null || !isListed(origin, c.env.CORS_ORIGINS)) {
    return next();
  }
  const allowed = { 'access-control-allow-origin': origin, vary: 'Origin' };
  if (c.req.method === 'OPTIONS' && c.req.raw.headers.has('access-control-request-method')) {
    return c.body(null, 204, {
      ...allowed,
      'access-control-allow-methods': METHODS,
      'access-control-allow-headers': REQUEST_HEADERS,
      'access-control-max-age': String(PREFLIGHT_S),
    });
  }
  await next();
  // the headers of an answer that came from elsewhere cannot be changed
  c.res = new Response(c.res.body, c.res);
  c.res.headers.set('access-control-allow-origin', origin);
  c.res.headers.set('access-control-expose-headers', EXPOSED);
  c.res.headers.append('vary', 'Origin');
});
