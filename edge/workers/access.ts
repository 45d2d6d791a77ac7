/** Who makes an internal call: a registered worker that signed exactly this request. */
import { createMiddleware } from 'hono/factory';
import { type Caller, openWorkerCall } from '../../shared/signing/worker-call.ts';
import type { AppEnv, Env } from '../environment.ts';
import { readBounded } from '../http/body.ts';
import { findWorker } from './registry.ts';

/** A completion of thousands of artefacts and a thousand manifests fits. */
const BODY_LIMIT = 8 * 1024 * 1024;

export type WorkerEnv = { Bindings: Env; Variables: AppEnv['Variables'] & { caller: Caller } };

/** Leaves the caller in `caller` and the raw body in `body`. Raises `signature_invalid`, `clock_skew`, `body_too_large`. */
export const workerAccess = createMiddleware<WorkerEnv>(async function workerAccess(c, next) {
  const now = Date.now();
  const body = await readBounded(c.req.raw, BODY_LIMIT);
  const workers = { find: async (kid: string) => (await findWorker(c.env, kid, now))?.publicKey ?? null };
  const call = { method: c.req.method, path: c.req.path, body };
  c.set('caller', await openWorkerCall(c.req.header('authorization') ?? null, call, workers, now / 1000));
  c.set('body', body);
  await next();
});
