/** `/internal/workers/...`: what a worker calls whether it has a job or not. Not part of the public contract. */
import { Hono } from 'hono';
import { SextantError } from '../../shared/contracts/problem.ts';
import { ANNOUNCE_MS, announceRequestSchema } from '../../shared/contracts/worker-call.ts';
import type { App } from '../environment.ts';
import { readJson } from '../http/read-json.ts';
import { dispatcherOf } from '../jobs/dispatcher/dispatcher-of.ts';
import { type WorkerEnv, workerAccess } from '../workers/access.ts';
import { isPool, poolsOf } from '../workers/pools.ts';
import { findWorker } from '../workers/registry.ts';

export default function registerInternalWorkers(app: App): void {
  const calls = new Hono<WorkerEnv>();
  calls.use('/*', workerAccess);
  calls.post('/announce', async (c) => {
    const { job, leaving } = readJson(announceRequestSchema, c.get('body'));
    const { worker } = c.get('caller');
    const pool = (await findWorker(c.env, worker, Date.now()))?.pool ?? '';
    if (!isPool(c.env, pool)) {
      throw new SextantError(
        'conflict',
        `the worker is registered for the pool ${pool}; the pools are ${Object.keys(poolsOf(c.env)).join(', ')}`,
      );
    }
    const dispatcher = dispatcherOf(c.env, pool);
    await (leaving ? dispatcher.leave(worker) : dispatcher.announce(worker, job));
    return c.json({ again_ms: ANNOUNCE_MS });
  });
  app.route('/internal/workers', calls as unknown as App);
}
