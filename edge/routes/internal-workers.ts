/** `/internal/workers/...`: what a worker calls whether it has a job or not. Not part of the public contract. */
import { Hono } from 'hono';
import { type Lane, laneSchema } from '../../shared/contracts/lane.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { ANNOUNCE_MS, announceRequestSchema } from '../../shared/contracts/worker-call.ts';
import type { App, Env } from '../environment.ts';
import { readJson } from '../http/read-json.ts';
import { type DispatcherCalls, dispatcherOf } from '../jobs/dispatcher/dispatcher-of.ts';
import { type WorkerEnv, workerAccess } from '../workers/access.ts';
import { isPool, lanesOf, poolNames } from '../workers/pools.ts';
import { findWorker } from '../workers/registry.ts';

export default function registerInternalWorkers(app: App): void {
  const calls = new Hono<WorkerEnv>();
  calls.use('/*', workerAccess);
  calls.post('/announce', async (c) => {
    const { job, leaving, lane } = readJson(announceRequestSchema, c.get('body'));
    const { worker } = c.get('caller');
    const dispatcher = await dispatcherFor(c.env, worker, lane);
    await (leaving ? dispatcher.leave(worker) : dispatcher.announce(worker, job));
    return c.json({ again_ms: ANNOUNCE_MS });
  });
  calls.get('/bell/:lane', async (c) => {
    const lane = laneSchema.safeParse(c.req.param('lane'));
    if (!lane.success || c.req.header('upgrade') !== 'websocket') {
      throw new SextantError('not_found', 'a bell is a WebSocket of the lane interactive or batch');
    }
    const { worker } = c.get('caller');
    const dispatcher = await dispatcherFor(c.env, worker, lane.data);
    return dispatcher.fetch('https://dispatcher/bell', { headers: { upgrade: 'websocket', 'x-worker': worker } });
  });
  app.route('/internal/workers', calls as unknown as App);
}

/** The dispatcher of the worker's pool and this lane. Raises `conflict` where the deployment has no such line. */
async function dispatcherFor(env: Env, worker: string, lane: Lane): Promise<DispatcherCalls> {
  const pool = (await findWorker(env, worker, Date.now()))?.pool ?? '';
  if (!isPool(env, pool)) {
    const detail = `the worker is registered for the pool ${pool}; the pools are ${poolNames(env).join(', ')}`;
    throw new SextantError('conflict', detail);
  }
  if (!lanesOf(env, pool).includes(lane)) {
    throw new SextantError('conflict', `the pool ${pool} has no lane ${lane}`);
  }
  return dispatcherOf(env, { pool, lane });
}
