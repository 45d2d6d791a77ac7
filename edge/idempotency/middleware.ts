/**
 * `Idempotency-Key` on requests that create something at once: a repeat is answered as the first was and creates nothing.
 * Secrets are not kept: a repeat shows null in their place.
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
    const { status, location, body } = begun.answer;
    const headers = { location, 'idempotency-replayed': 'true', 'cache-control': 'no-store' };
    return body === undefined
      ? new Response(null, { status, headers })
      : new Response(body, { status, headers: { ...headers, 'content-type': 'application/json' } });
  }
  await whileHeld(begun.memory, next);
  const location = c.res.headers.get('location');
  if (c.res.ok && location !== null) {
    const body = withoutSecrets(await c.res.clone().text());
    await begun.memory.finish({ status: c.res.status, location, ...(body !== null && { body }) });
  } else {
    await begun.memory.abandon();
  }
});

/** Fields of answers that are shown once. */
const SECRETS = ['key', 'secret'];
/** Longest body that is kept, in characters. */
const LONGEST = 100_000;

/** The body with null for its secrets; null where it is no JSON object, or too long to be kept. */
function withoutSecrets(text: string): string | null {
  if (text.length > LONGEST || !text.startsWith('{')) {
    return null;
  }
  const body = JSON.parse(text) as Record<string, unknown>;
  for (const name of SECRETS) {
    if (typeof body[name] === 'string') {
      body[name] = null;
    }
  }
  return JSON.stringify(body);
}
