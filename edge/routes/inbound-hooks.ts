/** Inbound hooks: which outside events start which recipe, and what came in. */
import { createRoute, z } from '@hono/zod-openapi';
import { inboundDeliverySchema } from '../../shared/contracts/inbound.ts';
import {
  changeInboundHookSchema,
  createInboundHookSchema,
  inboundHookSchema,
  newInboundHookSchema,
  rotateInboundSecretSchema,
} from '../../shared/contracts/inbound-hook.ts';
import { randomIdSchema } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { randomId } from '../../shared/signing/digest.ts';
import { audited } from '../audit/log.ts';
import type { App } from '../environment.ts';
import { auditOf } from '../http/audit.ts';
import { BODY, json, jsonRequest, KEYED, keyed, keyedBody, page, pageQuery, problems } from '../http/declaration.ts';
import { traceOf } from '../http/envelope.ts';
import { byNumber, newestFirst, type Position, pageOf } from '../http/pages.ts';
import { idempotencyHeader, keyedOnce, ONCE } from '../idempotency/declaration.ts';
import { forgetHook, type Hook, insertHook, listHooks, readHook } from '../inbound/hooks.ts';
import { inboxOf } from '../inbound/inbox.ts';
import { INBOUND_PROVIDERS } from '../inbound/providers/by-name.ts';
import { refuseRecipe } from '../inbound/recipes/check.ts';
import { readRecipe, readVersion } from '../inbound/recipes/store.ts';
import { unwrap } from '../jobs/answer.ts';
import { live, rotated, seal } from '../keys/sealed.ts';

const hookBody = inboundHookSchema.openapi('InboundHook');
const newHookBody = newInboundHookSchema.openapi('NewInboundHook');
const createBody = createInboundHookSchema.openapi('CreateInboundHook');
const idParams = z.object({ id: randomIdSchema('inh') });
const deliveryParams = z.object({ id: randomIdSchema('inh'), delivery: randomIdSchema('dlv') });
const tags = ['inbound'];
const deliveryBody = inboundDeliverySchema.openapi('InboundDelivery');

const create = createRoute({
  ...keyedOnce('webhooks:admin'),
  method: 'post',
  path: '/v1/inbound-hooks',
  tags,
  summary: 'Create an inbound hook',
  request: { headers: idempotencyHeader, body: jsonRequest(createBody) },
  responses: {
    201: json(newHookBody, 'The hook, with its secret'),
    ...problems(...KEYED, ...BODY, ...ONCE, 'not_found'),
  },
});
const list = createRoute({
  ...keyed('webhooks:admin'),
  method: 'get',
  path: '/v1/inbound-hooks',
  tags,
  summary: 'List inbound hooks',
  request: { query: pageQuery },
  responses: { 200: json(page(hookBody), 'Newest first'), ...problems(...KEYED, 'parameter_invalid') },
});
const read = createRoute({
  ...keyed('webhooks:admin'),
  method: 'get',
  path: '/v1/inbound-hooks/{id}',
  tags,
  summary: 'Read an inbound hook',
  request: { params: idParams },
  responses: { 200: json(hookBody, 'The hook'), ...problems(...KEYED, 'not_found') },
});
const change = createRoute({
  ...keyedBody('webhooks:admin'),
  method: 'patch',
  path: '/v1/inbound-hooks/{id}',
  tags,
  summary: 'Disable or enable an inbound hook',
  request: {
    params: idParams,
    body: jsonRequest(changeInboundHookSchema.openapi('ChangeInboundHook')),
  },
  responses: { 200: json(hookBody, 'As it is now'), ...problems(...KEYED, ...BODY, 'not_found') },
});
const rotate = createRoute({
  ...keyedBody('webhooks:admin'),
  method: 'post',
  path: '/v1/inbound-hooks/{id}/secret/rotate',
  tags,
  summary: 'Give the hook another secret; the one before counts on for overlap_s',
  request: {
    params: idParams,
    body: jsonRequest(rotateInboundSecretSchema.openapi('RotateInboundSecret')),
  },
  responses: { 200: json(newHookBody, 'The hook, with its new secret'), ...problems(...KEYED, ...BODY, 'not_found') },
});
const remove = createRoute({
  ...keyed('webhooks:admin', 'writes'),
  method: 'delete',
  path: '/v1/inbound-hooks/{id}',
  tags,
  summary: 'Delete an inbound hook and its deliveries',
  request: { params: idParams },
  responses: { 204: { description: 'It is deleted' }, ...problems(...KEYED, 'not_found') },
});
const deliveries = createRoute({
  ...keyed('webhooks:admin'),
  method: 'get',
  path: '/v1/inbound-hooks/{id}/deliveries',
  tags,
  summary: 'Every delivery, refused ones with the reason',
  request: { params: idParams, query: pageQuery },
  responses: { 200: json(page(deliveryBody), 'Newest first'), ...problems(...KEYED, 'not_found', 'parameter_invalid') },
});
const readDelivery = createRoute({
  ...keyed('webhooks:admin'),
  method: 'get',
  path: '/v1/inbound-hooks/{id}/deliveries/{delivery}',
  tags,
  summary: 'Read a delivery',
  request: { params: deliveryParams },
  responses: { 200: json(deliveryBody, 'The delivery'), ...problems(...KEYED, 'not_found') },
});
const replay = createRoute({
  ...keyed('webhooks:admin', 'writes'),
  method: 'post',
  path: '/v1/inbound-hooks/{id}/deliveries/{delivery}/replay',
  tags,
  summary: 'Run an accepted delivery again, as a run of its own',
  request: { params: deliveryParams },
  responses: { 202: json(deliveryBody, 'The replay'), ...problems(...KEYED, 'not_found', 'conflict') },
});

const instant = (ms: number): string => new Date(ms).toISOString();
const view = (hook: Hook) => {
  const { tenant: _, secrets, created_at, ...rest } = hook;
  return {
    ...rest,
    path: `/v1/inbound/${hook.provider}/${hook.id}`,
    secrets: live(secrets, Date.now()).map((one) => ({
      created_at: instant(one.created_at),
      expires_at: one.expires_at === null ? null : instant(one.expires_at),
    })),
    created_at: instant(created_at),
  };
};
const uncached = { 'cache-control': 'no-store' };

export default function registerInboundHooks(app: App): void {
  app.openapi(create, async (c) => {
    const { secret: given, ...wanted } = c.req.valid('json');
    const key = c.get('key');
    if (wanted.provider !== 'standard_webhooks' && (wanted.pointers.repository ?? wanted.pointers.revision) !== null) {
      throw new SextantError(
        'validation_failed',
        `/pointers: ${wanted.provider} has a form of its own; pointers are for standard_webhooks`,
      );
    }
    const recipe = await readRecipe(c.env, key.tenant, wanted.recipe);
    refuseRecipe(key, (await readVersion(c.env, recipe, wanted.recipe_version)).body);
    const kind = INBOUND_PROVIDERS[wanted.provider];
    const secret = given === undefined ? kind.newSecret() : kind.secret(given);
    const now = Date.now();
    const id = randomId('inh');
    const secrets = [{ sealed: await seal(c.env, id, secret), created_at: now, expires_at: null }];
    const hook: Hook = { ...wanted, id, tenant: key.tenant, secrets, key: key.id, disabled: false, created_at: now };
    await audited(c.env, auditOf(c, 'inbound_hook.create', id), [insertHook(c.env, hook)]);
    c.header('location', `/v1/inbound-hooks/${id}`);
    return c.json({ ...view(hook), secret }, 201, uncached);
  });

  app.openapi(list, async (c) => {
    const read = async (before: Position, limit: number) =>
      (await listHooks(c.env, c.get('key').tenant, before, limit)).map((hook) => ({
        created: hook.created_at,
        id: hook.id,
        hook,
      }));
    return c.json(await pageOf(c, c.req.valid('query'), newestFirst, read, ({ hook }) => view(hook)), 200);
  });

  app.openapi(read, async (c) =>
    c.json(view(await readHook(c.env, c.get('key').tenant, c.req.valid('param').id)), 200),
  );

  app.openapi(change, async (c) => {
    const hook = await readHook(c.env, c.get('key').tenant, c.req.valid('param').id);
    const { disabled } = c.req.valid('json');
    await audited(c.env, auditOf(c, disabled ? 'inbound_hook.disable' : 'inbound_hook.enable', hook.id), [
      c.env.DB.prepare('UPDATE inbound_hooks SET disabled = ? WHERE id = ?').bind(disabled ? 1 : 0, hook.id),
    ]);
    forgetHook(hook.id);
    return c.json(view({ ...hook, disabled }), 200);
  });

  app.openapi(rotate, async (c) => {
    const hook = await readHook(c.env, c.get('key').tenant, c.req.valid('param').id);
    const { overlap_s, secret: given } = c.req.valid('json');
    const kind = INBOUND_PROVIDERS[hook.provider];
    const secret = given === undefined ? kind.newSecret() : kind.secret(given);
    const next = { sealed: await seal(c.env, hook.id, secret), created_at: Date.now(), expires_at: null };
    const secrets = rotated(hook.secrets, next, overlap_s * 1000);
    await audited(c.env, auditOf(c, 'inbound_hook.rotate', hook.id), [
      c.env.DB.prepare('UPDATE inbound_hooks SET secrets = ? WHERE id = ?').bind(JSON.stringify(secrets), hook.id),
    ]);
    forgetHook(hook.id);
    return c.json({ ...view({ ...hook, secrets }), secret }, 200, uncached);
  });

  app.openapi(remove, async (c) => {
    const hook = await readHook(c.env, c.get('key').tenant, c.req.valid('param').id);
    await audited(c.env, auditOf(c, 'inbound_hook.delete', hook.id), [
      c.env.DB.prepare('DELETE FROM inbound_hooks WHERE id = ?').bind(hook.id),
    ]);
    forgetHook(hook.id);
    await inboxOf(c.env, hook.id).erase();
    return c.body(null, 204);
  });

  app.openapi(deliveries, async (c) => {
    const hook = await readHook(c.env, c.get('key').tenant, c.req.valid('param').id);
    const inbox = inboxOf(c.env, hook.id);
    const order = byNumber(`deliveries ${hook.id}`, Number.MAX_SAFE_INTEGER, ({ seq }: { seq: number }) => seq);
    const read = async (before: number, limit: number) => await inbox.list(before, limit);
    return c.json(await pageOf(c, c.req.valid('query'), order, read, ({ delivery }) => delivery), 200, uncached);
  });

  app.openapi(readDelivery, async (c) => {
    const { id, delivery } = c.req.valid('param');
    const hook = await readHook(c.env, c.get('key').tenant, id);
    const found = await inboxOf(c.env, hook.id).read(delivery);
    if (!found) {
      throw new SextantError('not_found', `there is no delivery ${delivery}`);
    }
    return c.json(found, 200, uncached);
  });

  app.openapi(replay, async (c) => {
    const { id, delivery } = c.req.valid('param');
    const hook = await readHook(c.env, c.get('key').tenant, id);
    // first the row: nothing runs again without one
    await audited(c.env, auditOf(c, 'inbound_hook.replay', delivery));
    const again = unwrap(await inboxOf(c.env, hook.id).replay(delivery, traceOf(c)));
    return c.json(again, 202, uncached);
  });
}
