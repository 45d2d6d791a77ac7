/** Runs: what an event started, step by step. */
import { createRoute, z } from '@hono/zod-openapi';
import { randomIdSchema } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { runEventSchema, runSchema, runStatusSchema, runSummarySchema } from '../../shared/contracts/run.ts';
import type { App } from '../environment.ts';
import { json, KEYED, keyed, page, pageQuery, problems } from '../http/declaration.ts';
import { newestFirst, type Position, pageOf } from '../http/pages.ts';
import { listRuns } from '../inbound/runs/projection.ts';
import { runOf } from '../inbound/runs/run-of.ts';
import { unwrap } from '../jobs/answer.ts';

const runBody = runSchema.openapi('Run');
const summaryBody = runSummarySchema.openapi('RunSummary');
const idParams = z.object({ id: randomIdSchema('run') });
const tags = ['runs'];

const list = createRoute({
  ...keyed('jobs:read'),
  method: 'get',
  path: '/v1/runs',
  tags,
  summary: 'List runs',
  request: {
    query: pageQuery.extend({
      hook: randomIdSchema('inh').optional(),
      recipe: randomIdSchema('rcp').optional(),
      status: runStatusSchema.optional(),
    }),
  },
  responses: { 200: json(page(summaryBody), 'Newest first'), ...problems(...KEYED, 'parameter_invalid') },
});
const read = createRoute({
  ...keyed('jobs:read'),
  method: 'get',
  path: '/v1/runs/{id}',
  tags,
  summary: 'Read a run',
  request: { params: idParams },
  responses: { 200: json(runBody, 'The run'), ...problems(...KEYED, 'not_found') },
});
const cancel = createRoute({
  ...keyed('jobs:write', 'writes'),
  method: 'post',
  path: '/v1/runs/{id}/cancel',
  tags,
  summary: 'Cancel a run and the jobs of it that have not ended',
  request: { params: idParams },
  responses: { 200: json(runBody, 'It is canceled'), ...problems(...KEYED, 'not_found', 'conflict') },
});
const events = createRoute({
  ...keyed('jobs:read'),
  method: 'get',
  path: '/v1/runs/{id}/events',
  tags,
  summary: 'Follow a run: its events so far, then each new one, until it has ended',
  request: {
    params: idParams,
    headers: z.object({ 'last-event-id': z.string().max(20).optional().describe('events after this one') }),
  },
  responses: {
    200: {
      description: 'Server-sent events: `event` is status or step, `id` counts up, `data` is JSON',
      content: { 'text/event-stream': { schema: runEventSchema.openapi('RunEvent') } },
    },
    204: { description: 'It has ended, and the caller has had every event' },
    ...problems(...KEYED, 'not_found'),
  },
});

const noSuchRun = (id: string) => new SextantError('not_found', `there is no run ${id}`);
const uncached = { 'cache-control': 'no-store' };

export default function registerRuns(app: App): void {
  app.openapi(list, async (c) => {
    const { hook = null, recipe = null, status = null, ...query } = c.req.valid('query');
    const of = { tenant: c.get('key').tenant, hook, recipe, status };
    const read = (before: Position, limit: number) => listRuns(c.env.DB, { ...of, before, limit });
    return c.json(await pageOf(c, query, newestFirst, read, ({ run }) => run), 200, uncached);
  });
  app.openapi(read, async (c) => {
    const { id } = c.req.valid('param');
    const run = await runOf(c.env, id).view(c.get('key').tenant);
    if (!run) {
      throw noSuchRun(id);
    }
    return c.json(run, 200, uncached);
  });
  app.openapi(cancel, async (c) => {
    const { id } = c.req.valid('param');
    const run = unwrap(await runOf(c.env, id).cancel(c.get('key').tenant));
    if (!run) {
      throw noSuchRun(id);
    }
    return c.json(run, 200, uncached);
  });
  app.openapi(events, async (c) => {
    const { id } = c.req.valid('param');
    const answer = await runOf(c.env, id).fetch('https://run/events', {
      headers: { 'x-tenant': c.get('key').tenant, 'last-event-id': c.req.valid('header')['last-event-id'] ?? '' },
    });
    if (answer.status === 404) {
      throw noSuchRun(id);
    }
    return new Response(answer.body, answer);
  });
}
