/**
 * `Idempotency-Key` on requests that create something at once: a repeat is answered with the first answer's status and
 * location and creates nothing. The body is not kept, so the text of a new key is not shown again.
 */
import { createMiddleware } from 'hono/factory';
import { SextantError } from '../../shared/contracts/problem.ts';
import { randomId } from '../../shared/signing/digest.ts';
import type { AppEnv } from '../environment.ts';
import { fingerprintOf, idempotencyOf } from './keys.ts';

export const idempotent = createMiddleware<AppEnv>(async function idempotent(c, next) {
  const presented = c.req.header('idempotency-key');
  if (presented === undefined) return next();
  if (!/^[\x21-\x7e]{1,255}$/.test(presented))
    throw new SextantError('parameter_invalid', 'an Idempotency-Key has 1 to 255 printable characters');
  const { tenant } = c.get('key');
  const { pathname, search } = new URL(c.req.url);
  const request = { method: c.req.method, path: pathname + search };
  const memory = await idempotencyOf(c.env, tenant, presented);
  // the object wants an id for what is created; these routes make their own
  const admission = await memory.begin(
    await fingerprintOf(request, tenant, c.get('body') ?? new Uint8Array()),
    randomId('evt'),
  );
  if (admission.state === 'in_flight')
    throw new SextantError('idempotency_in_flight', 'the first request with this key has not been answered yet', {
      headers: { 'retry-after': '1' },
    });
  if (admission.state === 'reused')
    throw new SextantError('idempotency_key_reused', 'this key was used with another request; take a new one');
  if (admission.state === 'answered') {
    const { status, location } = admission.answer;
    return new Response(null, { status, headers: { location, 'idempotency-replayed': 'true' } });
  }
  await next();
  const location = c.res.headers.get('location');
  if (c.res.ok && location !== null) await memory.finish({ status: c.res.status, location });
  else await memory.abandon();
});
