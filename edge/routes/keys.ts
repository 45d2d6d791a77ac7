/** API keys of the caller's tenant. A key's text is shown once, at its creation; what is kept is its digest. */
import { createRoute, z } from '@hono/zod-openapi';
import { createKeySchema, keySchema, newKeySchema } from '../../shared/contracts/key.ts';
import { randomIdSchema } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { Scope } from '../../shared/contracts/scope.ts';
import { audited } from '../audit/log.ts';
import type { App, Env } from '../environment.ts';
import { access } from '../http/access.ts';
import { auditOf } from '../http/audit.ts';
import { BODY, json, jsonRequest, KEYED, keyed, page, pageQuery, problems, queryInteger } from '../http/declaration.ts';
import { newestFirst, type Position, pageOf } from '../http/pages.ts';
import { idempotencyHeader, keyedOnce, ONCE } from '../idempotency/declaration.ts';
import { idempotent } from '../idempotency/middleware.ts';
import { type AccessKey, type KeyRow, limitsOf, scopesOf } from '../keys/access-key.ts';
import { INSERT_KEY, keyValues, mintKey, visiblePrefix } from '../keys/mint.ts';
import { forgetKey } from '../keys/registry.ts';

const keyBody = keySchema.openapi('Key');
const newKeyBody = newKeySchema.openapi('NewKey');
const createBody = createKeySchema.openapi('CreateKey');
const idParams = z.object({ id: randomIdSchema('key') });
const tags = ['keys'];

const create = createRoute({
  ...keyedOnce('keys:admin'),
  method: 'post',
  path: '/v1/keys',
  tags,
  summary: 'Create an API key',
  request: { headers: idempotencyHeader, body: jsonRequest(createBody) },
  responses: { 201: json(newKeyBody, 'The key, with its text'), ...problems(...KEYED, ...BODY, ...ONCE) },
});
const list = createRoute({
  ...keyed('keys:admin'),
  method: 'get',
  path: '/v1/keys',
  tags,
  summary: 'List API keys',
  request: { query: pageQuery },
  responses: { 200: json(page(keyBody), 'Newest first'), ...problems(...KEYED, 'parameter_invalid') },
});
const read = createRoute({
  ...keyed('keys:admin'),
  method: 'get',
  path: '/v1/keys/{id}',
  tags,
  summary: 'Read an API key',
  request: { params: idParams },
  responses: { 200: json(keyBody, 'The key, without its text'), ...problems(...KEYED, 'not_found') },
});
const rotate = createRoute({
  security: [{ bearer: ['keys:admin'] }],
  middleware: [access('keys:admin', 'writes'), idempotent],
  method: 'post',
  path: '/v1/keys/{id}/rotate',
  tags,
  summary: 'Replace an API key by a new one with the same name and scopes',
  request: {
    params: idParams,
    headers: idempotencyHeader,
    query: z.strictObject({
      overlap_s: queryInteger(0, 604_800).default(0).describe('how long the old key keeps working'),
    }),
  },
  responses: {
    201: json(newKeyBody, 'The new key, with its text'),
    ...problems(...KEYED, ...ONCE, 'not_found', 'conflict', 'parameter_invalid'),
  },
});
const revoke = createRoute({
  ...keyed('keys:admin', 'writes'),
  method: 'delete',
  path: '/v1/keys/{id}',
  tags,
  summary: 'Revoke an API key; takes effect within 30 s',
  request: { params: idParams },
  responses: { 204: { description: 'It is revoked' }, ...problems(...KEYED, 'not_found') },
});

const instant = (ms: number): string => new Date(ms).toISOString();
const view = (row: KeyRow): z.infer<typeof keyBody> => ({
  id: row.id,
  name: row.name,
  prefix: visiblePrefix(row.id),
  scopes: scopesOf(row),
  device_seconds_per_day: limitsOf(row).device_seconds_per_day ?? null,
  created_at: instant(row.created_at),
  expires_at: row.expires_at === null ? null : instant(row.expires_at),
  revoked_at: row.revoked_at === null ? null : instant(row.revoked_at),
});

async function ownKey(env: Env, tenant: string, id: string): Promise<KeyRow> {
  const row = await env.DB.prepare('SELECT * FROM keys WHERE tenant = ? AND id = ?').bind(tenant, id).first<KeyRow>();
  if (!row) {
    throw new SextantError('not_found', `there is no key ${id}`);
  }
  return row;
}

/** Nobody hands out a scope that the calling key lacks, be it by a new key or by rotating a stronger one. */
function refuseEscalation(caller: AccessKey, scopes: readonly Scope[]): void {
  const lacking = scopes.filter((scope) => !caller.scopes.has(scope));
  if (lacking.length > 0) {
    throw new SextantError('scope_missing', `the calling key cannot grant ${lacking.join(', ')}: it lacks them itself`);
  }
}

export default function registerKeys(app: App): void {
  app.openapi(create, async (c) => {
    const { name, scopes, expires_in_s, device_seconds_per_day } = c.req.valid('json');
    const caller = c.get('key');
    const granted = [...new Set(scopes)];
    refuseEscalation(caller, granted);
    const now = Date.now();
    const expires_at = expires_in_s === undefined ? null : now + expires_in_s * 1000;
    const cap = Math.min(device_seconds_per_day ?? Infinity, caller.device_seconds_per_day ?? Infinity);
    const limits = Number.isFinite(cap) ? { device_seconds_per_day: cap } : {};
    const { text, row } = await mintKey({ tenant: caller.tenant, name, scopes: granted, limits, now, expires_at });
    await audited(c.env, auditOf(c, 'key.create', row.id), [c.env.DB.prepare(INSERT_KEY).bind(...keyValues(row))]);
    c.header('cache-control', 'no-store');
    c.header('location', `/v1/keys/${row.id}`);
    return c.json({ ...view(row), key: text }, 201);
  });

  app.openapi(list, async (c) => {
    const read = async (before: Position, limit: number) =>
      (
        await c.env.DB.prepare(
          `SELECT *, created_at AS created FROM keys WHERE tenant = ? AND (created_at, id) < (?, ?)
           ORDER BY created_at DESC, id DESC LIMIT ?`,
        )
          .bind(c.get('key').tenant, before.created, before.id, limit)
          .all<KeyRow & Position>()
      ).results;
    return c.json(await pageOf(c, c.req.valid('query'), newestFirst, read, view), 200);
  });

  app.openapi(read, async (c) => c.json(view(await ownKey(c.env, c.get('key').tenant, c.req.valid('param').id)), 200));

  app.openapi(rotate, async (c) => {
    const caller = c.get('key');
    const old = await ownKey(c.env, caller.tenant, c.req.valid('param').id);
    const now = Date.now();
    const end = Math.min(old.revoked_at ?? Number.POSITIVE_INFINITY, old.expires_at ?? Number.POSITIVE_INFINITY);
    if (end <= now) {
      throw new SextantError('conflict', `the key ${old.id} no longer works; create a new one`);
    }
    const scopes = scopesOf(old);
    refuseEscalation(caller, scopes);
    const life = old.expires_at === null ? null : old.expires_at - old.created_at;
    const { text, row } = await mintKey({
      tenant: old.tenant,
      name: old.name,
      scopes,
      limits: limitsOf(old),
      now,
      expires_at: life === null ? null : now + life,
    });
    const until = Math.min(end, now + c.req.valid('query').overlap_s * 1000);
    await audited(c.env, auditOf(c, 'key.rotate', old.id), [
      c.env.DB.prepare(INSERT_KEY).bind(...keyValues(row)),
      c.env.DB.prepare('UPDATE keys SET expires_at = ? WHERE id = ?').bind(until, old.id),
    ]);
    forgetKey(old.id);
    c.header('cache-control', 'no-store');
    c.header('location', `/v1/keys/${row.id}`);
    return c.json({ ...view(row), key: text }, 201);
  });

  app.openapi(revoke, async (c) => {
    const { id } = await ownKey(c.env, c.get('key').tenant, c.req.valid('param').id);
    await audited(c.env, auditOf(c, 'key.revoke', id), [
      c.env.DB.prepare('UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL').bind(Date.now(), id),
    ]);
    forgetKey(id);
    return c.body(null, 204);
  });
}
