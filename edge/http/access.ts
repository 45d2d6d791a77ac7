/**
 * Who calls and what for. A route says `...keyed('vectors:read')` and so gets authentication, the scope check, its rate
 * limit and the OpenAPI entries of all three.
 */
import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { Scope } from '../../shared/contracts/scope.ts';
import { audited } from '../audit/log.ts';
import type { AppEnv } from '../environment.ts';
import type { KeyPolicy } from '../keys/access-key.ts';
import { checkKey } from '../keys/registry.ts';
import { takeAnonymous, takeQuota } from '../quota/lease.ts';
import { auditOf } from './audit.ts';

/** The presented key text; empty where there is none. */
const bearerOf = (authorization: string | null): string =>
  authorization !== null && /^bearer /i.test(authorization) ? authorization.slice(7).trim() : '';

/** What callers without a key are counted by. */
export const addressOf = (headers: Headers): string => headers.get('cf-connecting-ip') ?? 'local';

/** Lets a caller with a valid key that has `scope` pass (null: any valid key), and counts the request. */
export const access = (scope: Scope | null, policy: KeyPolicy) =>
  createMiddleware<AppEnv>(async function access(c, next) {
    const now = Date.now();
    const text = bearerOf(c.req.raw.headers.get('authorization'));
    const key = text ? await checkKey(c.env, text, now) : null;
    if (!key) {
      c.set('allowance', takeAnonymous(addressOf(c.req.raw.headers), now, 'refused'));
      throw new SextantError(
        'unauthenticated',
        text
          ? 'the API key is malformed, unknown, revoked or expired'
          : 'send an API key in the header Authorization: Bearer <key>',
      );
    }
    c.set('key', key);
    c.set('allowance', await takeQuota(c.env, key, policy, now));
    if (scope !== null && !key.scopes.has(scope)) {
      throw new SextantError('scope_missing', `the API key ${key.id} lacks the scope ${scope}`);
    }
    await next();
    // Dual use: every request that this scope let in is on record, with how it ended.
    if (scope === 'directions:refusal') {
      await audited(c.env, { ...auditOf(c, 'refusal.use', c.req.path), outcome: outcomeOf(c) });
    }
  });

const outcomeOf = (c: Context<AppEnv>): string =>
  c.error ? (c.error instanceof SextantError ? c.error.code : 'internal') : 'done';

/** Lets everybody pass and counts by address. */
export const anonymous = createMiddleware<AppEnv>(async function anonymous(c, next) {
  c.set('allowance', takeAnonymous(addressOf(c.req.raw.headers), Date.now(), 'open'));
  await next();
});
