/** The webhook of a job (`webhook` at its creation): the secret that signs it, and the log of its delivery. */
import { createRoute, z } from '@hono/zod-openapi';
import { randomIdSchema } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { App } from '../environment.ts';
import { json, KEYED, keyed, problems } from '../http/declaration.ts';
import { ledgerOf } from '../jobs/ledger-of.ts';
import { webhookSecret } from '../webhooks/delivery.ts';

const secretRoute = createRoute({
  ...keyed('webhooks:admin'),
  method: 'get',
  path: '/v1/webhook-secret',
  tags: ['webhooks'],
  summary: 'The secret that signs the webhooks of jobs (Standard Webhooks, v1)',
  responses: {
    200: json(z.object({ secret: z.string().describe('whsec_ and base64') }), 'The secret of the tenant'),
    ...problems(...KEYED),
  },
});
const deliveriesRoute = createRoute({
  ...keyed('jobs:read'),
  method: 'get',
  path: '/v1/jobs/{id}/deliveries',
  tags: ['webhooks'],
  summary: "Every try to deliver a job's webhook",
  request: { params: z.object({ id: randomIdSchema('job') }) },
  responses: {
    200: json(
      z.object({ data: z.array(z.object({ at: z.string(), status: z.number().nullable(), detail: z.string() })) }),
      'Oldest first',
    ),
    ...problems(...KEYED, 'not_found'),
  },
});

export default function registerJobWebhooks(app: App): void {
  app.openapi(secretRoute, async (c) =>
    c.json({ secret: await webhookSecret(c.env, c.get('key').tenant) }, 200, { 'cache-control': 'no-store' }),
  );
  app.openapi(deliveriesRoute, async (c) => {
    const { id } = c.req.valid('param');
    const deliveries = await ledgerOf(c.env, id).deliveries(c.get('key').tenant);
    if (!deliveries) throw new SextantError('not_found', `there is no job ${id}`);
    const data = deliveries.map(({ at, status, detail }) => ({ at: new Date(at).toISOString(), status, detail }));
    return c.json({ data }, 200, { 'cache-control': 'no-store' });
  });
}
