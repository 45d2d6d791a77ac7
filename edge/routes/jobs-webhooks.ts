/** The webhook of a job (`webhook` at its creation): the secret that signs it, and the log of its delivery. */
import { createRoute, z } from '@hono/zod-openapi';
import { randomIdSchema } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { jobDeliveriesSchema, webhookSecretSchema } from '../../shared/contracts/webhook-endpoint.ts';
import { audited } from '../audit/log.ts';
import type { App } from '../environment.ts';
import { auditOf } from '../http/audit.ts';
import { json, KEYED, keyed, problems, queryInteger } from '../http/declaration.ts';
import { ledgerOf } from '../jobs/ledger-of.ts';
import { addressQueueName, deliveryQueueOf } from '../webhooks/queue-of.ts';
import { rotateTenantSecret, tenantSecrets } from '../webhooks/tenant-secret.ts';

const secretRoute = createRoute({
  ...keyed('webhooks:admin'),
  method: 'get',
  path: '/v1/webhook-secret',
  tags: ['webhooks'],
  summary: 'The secret that signs the webhooks of jobs (Standard Webhooks, v1)',
  responses: { 200: json(webhookSecretSchema, 'The secret of the tenant'), ...problems(...KEYED) },
});
const rotateRoute = createRoute({
  ...keyed('webhooks:admin', 'writes'),
  method: 'post',
  path: '/v1/webhook-secret/rotate',
  tags: ['webhooks'],
  summary: 'Make a new secret; deliveries carry both signatures for overlap_s',
  request: {
    query: z.strictObject({ overlap_s: queryInteger(0, 2_592_000).default(86_400) }),
  },
  responses: { 200: json(webhookSecretSchema, 'The new secret'), ...problems(...KEYED, 'parameter_invalid') },
});
const deliveriesRoute = createRoute({
  ...keyed('jobs:read'),
  method: 'get',
  path: '/v1/jobs/{id}/deliveries',
  tags: ['webhooks'],
  summary: "Every try to deliver a job's webhook",
  request: { params: z.object({ id: randomIdSchema('job') }) },
  responses: {
    200: json(jobDeliveriesSchema, 'Oldest first'),
    ...problems(...KEYED, 'not_found'),
  },
});
const uncached = { 'cache-control': 'no-store' };

export default function registerJobWebhooks(app: App): void {
  app.openapi(secretRoute, async (c) => {
    const [secret = ''] = await tenantSecrets(c.env, c.get('key').tenant);
    return c.json({ secret }, 200, uncached);
  });
  app.openapi(rotateRoute, async (c) => {
    const { tenant } = c.get('key');
    const { secret, statement } = await rotateTenantSecret(c.env, tenant, c.req.valid('query').overlap_s * 1000);
    await audited(c.env, auditOf(c, 'webhook_secret.rotate', tenant), [statement]);
    return c.json({ secret }, 200, uncached);
  });
  app.openapi(deliveriesRoute, async (c) => {
    const { id } = c.req.valid('param');
    const { tenant } = c.get('key');
    const address = await ledgerOf(c.env, id).webhookOf(tenant);
    if (address === undefined) {
      throw new SextantError('not_found', `there is no job ${id}`);
    }
    const attempts =
      address === null ? [] : await deliveryQueueOf(c.env, await addressQueueName(tenant, address)).attemptsFor(id);
    const data = attempts.map(({ at, status, detail }) => ({ at: new Date(at).toISOString(), status, detail }));
    return c.json({ data }, 200, uncached);
  });
}
