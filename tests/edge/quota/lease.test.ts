import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { checkKey } from '../../../edge/keys/registry.ts';
import { WINDOW_MS } from '../../../edge/quota/allowance.ts';
import { type Grant, keeperOf } from '../../../edge/quota/keeper.ts';
import { takeAnonymous, takeLeased, takeQuota } from '../../../edge/quota/lease.ts';
import { newClient, problemOf } from '../support/client.ts';

describe('the quota of a key', () => {
  it('lets exactly its limit pass in a window, and says when to come back', async () => {
    const client = await newClient({ limits: { reads: 5 } });
    const statuses: number[] = [];
    const left: (string | null)[] = [];
    let last: Response | undefined;
    // a window may end in between: then its successor lets more pass
    for (let i = 0; i < 12 && last?.status !== 429; i += 1) {
      last = await client.call('GET', '/v1/keys');
      statuses.push(last.status);
      left.push(last.headers.get('ratelimit'));
    }
    expect(last!.status).toBe(429);
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(5);
    expect(left.at(-1)).toMatch(/^"reads";r=0;t=\d+$/);
    expect(Number(last!.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(Number(last!.headers.get('retry-after'))).toBeLessThanOrEqual(60);
    expect(await problemOf(last!)).toMatchObject({ code: 'quota_exceeded', 'violated-policies': ['reads'] });
    // writes have a window of their own
    expect((await client.call('POST', '/v1/keys', { body: {} })).status).toBe(422);
  });

  it('is shared by the isolates that lease from it', async () => {
    const keeper = keeperOf(env, `key_${crypto.randomUUID()}`);
    const grants: Grant[] = [];
    for (let i = 0; i < 5; i += 1) {
      grants.push(await keeper.take('jobs', 10, 3));
    }
    const sameWindow = grants.every((grant) => grant.end === grants[0]!.end);
    if (sameWindow) {
      expect(grants.map((grant) => grant.granted)).toEqual([3, 3, 3, 1, 0]);
      expect(grants.map((grant) => grant.left)).toEqual([7, 4, 1, 0, 0]);
    }
    expect(grants[0]!.end % WINDOW_MS).toBe(0);
  });

  it('takes from the lease without asking, as long as it lasts', async () => {
    const client = await newClient({ limits: { reads: 1000 } });
    const now = Date.now();
    const key = (await checkKey(env, client.key, now))!;
    expect(takeLeased(key, 'reads', now)).toBeUndefined();
    const first = await takeQuota(env, key, 'reads', now);
    expect(first).toMatchObject({ policy: 'reads', limit: 1000, left: 999 });
    for (let i = 1; i < 20; i += 1) {
      expect(takeLeased(key, 'reads', now)).toMatchObject({ left: 999 - i });
    }
    expect(takeLeased(key, 'reads', now)).toBeUndefined();
    expect(takeLeased(key, 'reads', first.end)).toBeUndefined();
  });

  it('counts callers without a key by address', () => {
    const address = crypto.randomUUID();
    const now = Date.now();
    const { limit } = takeAnonymous(address, now, 'refused');
    for (let i = 1; i < limit; i += 1) {
      takeAnonymous(address, now, 'refused');
    }
    expect(() => takeAnonymous(address, now, 'refused')).toThrow('used up');
    expect(takeAnonymous(address, now, 'open').left).toBe(limit - 1);
    expect(takeAnonymous(`${address}2`, now, 'refused').left).toBe(limit - 1);
    expect(takeAnonymous(address, now + 60_000, 'refused').left).toBe(limit - 1);
  });
});
