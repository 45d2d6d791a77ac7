/** `GET /v1/pools/{pool}`: how much there is to do in a pool, over its lanes, as JSON for an autoscaler. */
import { createRoute, z } from '@hono/zod-openapi';
import { poolSchema } from '../../shared/contracts/pool.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { App } from '../environment.ts';
import { json, KEYED, keyed, problems } from '../http/declaration.ts';
import { dispatcherOf } from '../jobs/dispatcher/dispatcher-of.ts';
import { isPool, lanesOf } from '../workers/pools.ts';

const read = createRoute({
  ...keyed('operator'),
  method: 'get',
  path: '/v1/pools/{pool}',
  tags: ['operator'],
  summary: 'Jobs waiting and running in a pool, for an autoscaler',
  request: { params: z.object({ pool: z.string().max(60) }) },
  responses: { 200: json(poolSchema.openapi('Pool'), 'The pool as it stands'), ...problems(...KEYED, 'not_found') },
});

export default function registerPools(app: App): void {
  app.openapi(read, async (c) => {
    const { pool } = c.req.valid('param');
    if (!isPool(c.env, pool)) {
      throw new SextantError('not_found', `there is no pool ${pool}`);
    }
    const states = await Promise.all(lanesOf(c.env, pool).map((lane) => dispatcherOf(c.env, { pool, lane }).state()));
    const sum = (of: (state: (typeof states)[number]) => number): number =>
      states.reduce((total, state) => total + of(state), 0);
    const [waiting, running] = [sum((state) => state.waiting + state.sent), sum((state) => state.running)];
    // a worker serves both lanes, and is counted in each
    const workers = Math.max(...states.map((state) => state.workers));
    const oldest_wait_s = Math.max(...states.map((state) => state.oldest_wait_s));
    return c.json({ pool, waiting, running, jobs: waiting + running, workers, oldest_wait_s }, 200, {
      'cache-control': 'no-store',
    });
  });
}
