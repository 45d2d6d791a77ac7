/** `GET /v1/jobs/{id}/events`: a job's status and progress as server-sent events, resumable by `Last-Event-ID`. */

import { createRoute, z } from '@hono/zod-openapi';
import { jobEventSchema } from '../../shared/contracts/job-event.ts';
import { randomIdSchema } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { App } from '../environment.ts';
import { KEYED, keyed, problems } from '../http/declaration.ts';
import { ledgerOf } from '../jobs/ledger-of.ts';

const route = createRoute({
  ...keyed('jobs:read'),
  method: 'get',
  path: '/v1/jobs/{id}/events',
  tags: ['jobs'],
  summary: 'Follow a job: its events so far, then each new one, until it has ended',
  request: {
    params: z.object({ id: randomIdSchema('job') }),
    headers: z.object({ 'last-event-id': z.string().max(20).optional().describe('events after this one') }),
  },
  responses: {
    200: {
      description: 'Server-sent events: `event` is status or progress, `id` counts up, `data` is JSON',
      content: { 'text/event-stream': { schema: jobEventSchema.openapi('JobEvent') } },
    },
    204: { description: 'It has ended, and the caller has had every event' },
    ...problems(...KEYED, 'not_found'),
  },
});

export default function registerJobEvents(app: App): void {
  app.openapi(route, async (c) => {
    const { id } = c.req.valid('param');
    const answer = await ledgerOf(c.env, id).fetch('https://ledger/events', {
      headers: { 'x-tenant': c.get('key').tenant, 'last-event-id': c.req.valid('header')['last-event-id'] ?? '' },
    });
    if (answer.status === 404) {
      throw new SextantError('not_found', `there is no job ${id}`);
    }
    return new Response(answer.body, answer);
  });
}
