/**
 * `Idempotency-Key` on requests that create something at once: a repeat is answered with the first answer's status and
 * location and creates nothing. The body is not kept, so the text of a new key is not shown again.
 */
import { createMiddleware } from 'hono/factory';
import type { AppEnv } from '../environment.ts';
import { beginOnce, whileHeld } from './once.ts';

export const idempotent = createMiddleware<AppEnv>(async function idempotent(c, next) {
  const idempotencyKey = c.req.header('idempotency-key');
  if (idempotencyKey === undefined) {
    return next();
  }
  const { pathname, search } = new URL(c.req.url);
  const request = {
    tenant: c.get('key').tenant,
    idempotencyKey,
    method: c.req.method,
    path: pathname + search,
    body: c.get('body') ?? new Uint8Array(),
  };
  // the id goes unused: these routes make their own
  const begun = await beginOnce(c.env, request, 'evt');
  if (begun.answer) {
    const { status, location } = begun.answer;
    return new Response(null, { status, headers: { location, 'idempotency-replayed': 'true' } });
  }
  await whileHeld(begun.memory, next);
  const location = c.res.headers.get('location');
  if (c.res.ok && location !== null) {
    await begun.memory.finish({ status: c.res.status, location });
  } else {
    await begun.memory.abandon();
  }
});
