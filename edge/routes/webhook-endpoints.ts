/** Webhook endpoints: where a tenant's events are sent. */
import { createRoute, z } from '@hono/zod-openapi';
import { randomIdSchema } from '../../shared/contracts/manifest.ts';
import {
  changeWebhookEndpointSchema,
  createWebhookEndpointSchema,
  newWebhookEndpointSchema,
  rotateWebhookSecretSchema,
  webhookDeliverySchema,
  webhookEndpointSchema,
  webhookTestSchema,
} from '../../shared/contracts/webhook-endpoint.ts';
import { randomId } from '../../shared/signing/digest.ts';
import { audited } from '../audit/log.ts';
import type { App } from '../environment.ts';
import { auditOf } from '../http/audit.ts';
import { BODY, json, jsonRequest, KEYED, keyed, keyedBody, page, pageQuery, problems } from '../http/declaration.ts';
import { traceOf } from '../http/envelope.ts';
import { byNumber, newestFirst, type Position, pageOf } from '../http/pages.ts';
import { idempotencyHeader, keyedOnce, ONCE } from '../idempotency/declaration.ts';
import { rotated, seal } from '../keys/sealed.ts';
import { checkWebhookAddress } from '../webhooks/address.ts';
import { type Endpoint, insertEndpoint, listEndpoints, openSecrets, readEndpoint } from '../webhooks/endpoints.ts';
import { announceDisabled, noSuchDelivery } from '../webhooks/queue.ts';
import { unlistQueue } from '../webhooks/queue-index.ts';
import { deliveryQueueOf } from '../webhooks/queue-of.ts';
import type { MessageView } from '../webhooks/queue-store.ts';
import { newSecret, verifierOf } from '../webhooks/signer.ts';

const endpointBody = webhookEndpointSchema.openapi('WebhookEndpoint');
const newEndpointBody = newWebhookEndpointSchema.openapi('NewWebhookEndpoint');
const createBody = createWebhookEndpointSchema.openapi('CreateWebhookEndpoint');
const changeBody = changeWebhookEndpointSchema.openapi('ChangeWebhookEndpoint');
const deliveryBody = webhookDeliverySchema.openapi('WebhookDelivery');
const idParams = z.object({ id: randomIdSchema('whe') });
const tags = ['webhooks'];

const create = createRoute({
  ...keyedOnce('webhooks:admin'),
  method: 'post',
  path: '/v1/webhook-endpoints',
  tags,
  summary: 'Create a webhook endpoint',
  request: { headers: idempotencyHeader, body: jsonRequest(createBody) },
  responses: { 201: json(newEndpointBody, 'The endpoint, with its secret'), ...problems(...KEYED, ...BODY, ...ONCE) },
});
const list = createRoute({
  ...keyed('webhooks:admin'),
  method: 'get',
  path: '/v1/webhook-endpoints',
  tags,
  summary: 'List webhook endpoints',
  request: { query: pageQuery },
  responses: { 200: json(page(endpointBody), 'Newest first'), ...problems(...KEYED, 'parameter_invalid') },
});
const read = createRoute({
  ...keyed('webhooks:admin'),
  method: 'get',
  path: '/v1/webhook-endpoints/{id}',
  tags,
  summary: 'Read a webhook endpoint',
  request: { params: idParams },
  responses: { 200: json(endpointBody, 'The endpoint'), ...problems(...KEYED, 'not_found') },
});
const change = createRoute({
  ...keyedBody('webhooks:admin'),
  method: 'patch',
  path: '/v1/webhook-endpoints/{id}',
  tags,
  summary: 'Change, disable or enable a webhook endpoint',
  request: { params: idParams, body: jsonRequest(changeBody) },
  responses: { 200: json(endpointBody, 'As it is now'), ...problems(...KEYED, ...BODY, 'not_found') },
});
const rotate = createRoute({
  ...keyedBody('webhooks:admin'),
  method: 'post',
  path: '/v1/webhook-endpoints/{id}/secret/rotate',
  tags,
  summary: 'Give the endpoint another secret; deliveries carry both signatures for overlap_s',
  request: {
    params: idParams,
    body: jsonRequest(rotateWebhookSecretSchema.openapi('RotateWebhookSecret')),
  },
  responses: {
    200: json(newEndpointBody, 'The endpoint, with its new secret'),
    ...problems(...KEYED, ...BODY, 'not_found'),
  },
});
const remove = createRoute({
  ...keyed('webhooks:admin', 'writes'),
  method: 'delete',
  path: '/v1/webhook-endpoints/{id}',
  tags,
  summary: 'Delete a webhook endpoint and its deliveries',
  request: { params: idParams },
  responses: { 204: { description: 'It is deleted' }, ...problems(...KEYED, 'not_found') },
});
const test = createRoute({
  ...keyed('webhooks:admin', 'writes'),
  method: 'post',
  path: '/v1/webhook-endpoints/{id}/test',
  tags,
  summary: 'Send the event endpoint.test',
  request: { params: idParams },
  responses: {
    202: json(webhookTestSchema, 'It is queued; see its attempts among the deliveries'),
    ...problems(...KEYED, 'not_found'),
  },
});
const deliveries = createRoute({
  ...keyed('webhooks:admin'),
  method: 'get',
  path: '/v1/webhook-endpoints/{id}/deliveries',
  tags,
  summary: 'Deliveries and every attempt at them',
  request: { params: idParams, query: pageQuery },
  responses: {
    200: json(page(deliveryBody), 'Newest first'),
    ...problems(...KEYED, 'not_found', 'parameter_invalid'),
  },
});
const redeliver = createRoute({
  ...keyed('webhooks:admin', 'writes'),
  method: 'post',
  path: '/v1/webhook-endpoints/{id}/deliveries/{delivery}/redeliver',
  tags,
  summary: 'Send a delivery again, under the same webhook-id',
  request: { params: idParams.extend({ delivery: randomIdSchema('evt') }) },
  responses: { 202: { description: 'It is queued' }, ...problems(...KEYED, 'not_found') },
});

const instant = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
const uncached = { 'cache-control': 'no-store' };

const deliveryView = ({ seq: _, created_at, next_at, attempts, ...rest }: MessageView) => ({
  ...rest,
  created_at: new Date(created_at).toISOString(),
  next_at: instant(next_at),
  attempts: attempts.map((one) => ({ ...one, at: new Date(one.at).toISOString() })),
});

export default function registerWebhookEndpoints(app: App): void {
  const view = async (env: Parameters<typeof openSecrets>[0], endpoint: Endpoint) => ({
    id: endpoint.id,
    name: endpoint.name,
    address: endpoint.address,
    events: endpoint.events,
    scheme: endpoint.scheme,
    public_keys: endpoint.scheme === 'v1a' ? (await openSecrets(env, endpoint, Date.now())).map(verifierOf) : [],
    disabled_at: instant(endpoint.disabled_at),
    disabled_reason: endpoint.disabled_reason,
    created_at: new Date(endpoint.created_at).toISOString(),
  });

  app.openapi(create, async (c) => {
    const wanted = c.req.valid('json');
    const { tenant } = c.get('key');
    checkWebhookAddress(c.env, wanted.address, '/address', new URL(c.req.url).host);
    const now = Date.now();
    const id = randomId('whe');
    const secret = await newSecret(wanted.scheme);
    const secrets = [{ sealed: await seal(c.env, id, secret), created_at: now, expires_at: null }];
    const endpoint: Endpoint = {
      ...wanted,
      id,
      tenant,
      secrets,
      disabled_at: null,
      disabled_reason: null,
      created_at: now,
    };
    await audited(c.env, auditOf(c, 'endpoint.create', id), [insertEndpoint(c.env, endpoint)]);
    c.header('location', `/v1/webhook-endpoints/${id}`);
    return c.json({ ...(await view(c.env, endpoint)), secret: verifierOf(secret) }, 201, uncached);
  });

  app.openapi(list, async (c) => {
    const read = async (before: Position, limit: number) => {
      const found = await listEndpoints(c.env, c.get('key').tenant, before, limit);
      return Promise.all(
        found.map(async (one) => ({ created: one.created_at, id: one.id, shown: await view(c.env, one) })),
      );
    };
    return c.json(await pageOf(c, c.req.valid('query'), newestFirst, read, ({ shown }) => shown), 200);
  });

  app.openapi(read, async (c) =>
    c.json(await view(c.env, await readEndpoint(c.env, c.get('key').tenant, c.req.valid('param').id)), 200),
  );

  app.openapi(change, async (c) => {
    const before = await readEndpoint(c.env, c.get('key').tenant, c.req.valid('param').id);
    const { disabled, ...wanted } = c.req.valid('json');
    if (wanted.address !== undefined) {
      checkWebhookAddress(c.env, wanted.address, '/address', new URL(c.req.url).host);
    }
    const turnsOff = disabled === true && before.disabled_at === null;
    const turnsOn = disabled === false && before.disabled_at !== null;
    const after: Endpoint = {
      ...before,
      name: wanted.name ?? before.name,
      address: wanted.address ?? before.address,
      events: wanted.events ?? before.events,
      ...(turnsOff ? { disabled_at: Date.now(), disabled_reason: 'caller' } : {}),
      ...(turnsOn ? { disabled_at: null, disabled_reason: null } : {}),
    };
    const action = turnsOff ? 'endpoint.disable' : turnsOn ? 'endpoint.enable' : 'endpoint.change';
    await audited(c.env, auditOf(c, action, before.id), [
      c.env.DB.prepare(
        'UPDATE webhook_endpoints SET name = ?, address = ?, events = ?, disabled_at = ?, disabled_reason = ? WHERE id = ?',
      ).bind(
        after.name,
        after.address,
        JSON.stringify(after.events),
        after.disabled_at,
        after.disabled_reason,
        after.id,
      ),
    ]);
    const queue = deliveryQueueOf(c.env, after.id);
    if (turnsOff) {
      await queue.drop();
      await announceDisabled(c.env, after.tenant, after.id, 'caller');
    }
    if (turnsOn) {
      await queue.revive();
    }
    return c.json(await view(c.env, after), 200);
  });

  app.openapi(rotate, async (c) => {
    const endpoint = await readEndpoint(c.env, c.get('key').tenant, c.req.valid('param').id);
    const secret = await newSecret(endpoint.scheme);
    const next = { sealed: await seal(c.env, endpoint.id, secret), created_at: Date.now(), expires_at: null };
    const secrets = rotated(endpoint.secrets, next, c.req.valid('json').overlap_s * 1000);
    await audited(c.env, auditOf(c, 'endpoint.rotate', endpoint.id), [
      c.env.DB.prepare('UPDATE webhook_endpoints SET secrets = ? WHERE id = ?').bind(
        JSON.stringify(secrets),
        endpoint.id,
      ),
    ]);
    return c.json({ ...(await view(c.env, { ...endpoint, secrets })), secret: verifierOf(secret) }, 200, uncached);
  });

  app.openapi(remove, async (c) => {
    const { id } = await readEndpoint(c.env, c.get('key').tenant, c.req.valid('param').id);
    await audited(c.env, auditOf(c, 'endpoint.delete', id), [
      c.env.DB.prepare('DELETE FROM webhook_endpoints WHERE id = ?').bind(id),
      unlistQueue(c.env, id),
    ]);
    await deliveryQueueOf(c.env, id).erase();
    return c.body(null, 204);
  });

  app.openapi(test, async (c) => {
    const { id } = await readEndpoint(c.env, c.get('key').tenant, c.req.valid('param').id);
    const delivery = randomId('evt');
    const type = 'endpoint.test';
    const body = JSON.stringify({ type, timestamp: new Date().toISOString(), data: { id } });
    await deliveryQueueOf(c.env, id).enqueue(
      { endpoint: id },
      { id: delivery, type, body, subject: null, trace: traceOf(c) },
    );
    return c.json({ delivery }, 202, uncached);
  });

  app.openapi(deliveries, async (c) => {
    const { id } = await readEndpoint(c.env, c.get('key').tenant, c.req.valid('param').id);
    const order = byNumber(`deliveries ${id}`, Number.MAX_SAFE_INTEGER, ({ seq }: MessageView) => seq);
    const read = (before: number, limit: number) => deliveryQueueOf(c.env, id).list(before, limit);
    return c.json(await pageOf(c, c.req.valid('query'), order, read, deliveryView), 200, uncached);
  });

  app.openapi(redeliver, async (c) => {
    const { id, delivery } = c.req.valid('param');
    await readEndpoint(c.env, c.get('key').tenant, id);
    const queue = deliveryQueueOf(c.env, id);
    if (!(await queue.has(delivery))) {
      throw noSuchDelivery(delivery);
    }
    // first the row: nothing is sent again without one
    await audited(c.env, auditOf(c, 'endpoint.redeliver', delivery));
    await queue.redeliver(delivery);
    return c.body(null, 202);
  });
}
