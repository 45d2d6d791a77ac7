/** `GET /v1/metrics`: the pools as Prometheus text, for the operator. */
import { createRoute, z } from '@hono/zod-openapi';
import type { App } from '../environment.ts';
import { KEYED, keyed, problems } from '../http/declaration.ts';
import { dispatcherOf } from '../jobs/dispatcher/dispatcher-of.ts';
import type { PoolState } from '../jobs/dispatcher/place.ts';
import { deliveriesWaiting } from '../webhooks/queue-index.ts';
import { allLines } from '../workers/pools.ts';

const route = createRoute({
  ...keyed('operator'),
  method: 'get',
  path: '/v1/metrics',
  tags: ['operator'],
  summary: 'Jobs waiting and running, workers and the oldest wait, per pool and lane; webhook deliveries due',
  responses: {
    200: { description: 'Prometheus text', content: { 'text/plain': { schema: z.string() } } },
    ...problems(...KEYED),
  },
});

const GAUGES: readonly [name: string, help: string, of: (state: PoolState) => number][] = [
  ['sextant_jobs_waiting', 'Jobs in line', ({ waiting }) => waiting],
  ['sextant_jobs_sent', 'Messages that no worker has claimed yet', ({ sent }) => sent],
  ['sextant_jobs_running', 'Jobs that a worker has claimed', ({ running }) => running],
  ['sextant_workers', 'Workers that announced themselves lately', ({ workers }) => workers],
  ['sextant_oldest_wait_seconds', 'Age of the oldest job in line', ({ oldest_wait_s }) => oldest_wait_s],
];

export default function registerMetrics(app: App): void {
  app.openapi(route, async (c) => {
    const all = allLines(c.env);
    const states = await Promise.all(all.map((line) => dispatcherOf(c.env, line).state()));
    const lines = GAUGES.flatMap(([name, help, of]) => [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} gauge`,
      ...all.map(
        ({ pool, lane }, i) => `${name}{pool=${JSON.stringify(pool)},lane="${lane}"} ${of(states[i] as PoolState)}`,
      ),
    ]);
    const { waiting, oldest } = await deliveriesWaiting(c.env);
    lines.push(
      '# HELP sextant_deliveries_due Webhook deliveries that have not arrived yet',
      '# TYPE sextant_deliveries_due gauge',
      `sextant_deliveries_due ${waiting}`,
      '# HELP sextant_oldest_delivery_seconds Age of the oldest of them',
      '# TYPE sextant_oldest_delivery_seconds gauge',
      `sextant_oldest_delivery_seconds ${oldest === null ? 0 : (Date.now() - oldest) / 1000}`,
    );
    return c.text(`${lines.join('\n')}\n`, 200, { 'cache-control': 'no-store' });
  });
}
