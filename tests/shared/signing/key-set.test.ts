import { describe, expect, it } from 'vitest';
import { randomId } from '../../../shared/signing/digest.ts';
import { FetchedKeys, fixedKeys, publicKeys } from '../../../shared/signing/key-set.ts';
import { openMessage, signMessage } from '../../../shared/signing/message.ts';
import { newSigningKey } from '../../support/signing-key.ts';

const content = { sub: randomId('job'), jti: randomId('dsp'), type: 't', input_digest: 'b'.repeat(64), params: {} };

/** A key owner whose published set, reachability and clock the test moves. */
async function owner() {
  const [old, young] = [await newSigningKey('old'), await newSigningKey('young')];
  const world = { now: 1e6, down: false, published: [old], fetches: 0 };
  const keys = new FetchedKeys({
    now: () => world.now,
    load: async () => {
      world.fetches += 1;
      if (world.down) {
        throw new Error('unreachable');
      }
      return publicKeys(world.published);
    },
  });
  return { old, young, world, keys };
}

describe('a fetched key set', () => {
  it('accepts both keys while they rotate, and the old one no longer once it is withdrawn', async () => {
    const { old, young, world, keys } = await owner();
    const now_s = 1_800_000_000;
    world.published = [old, young];
    for (const key of [old, young]) {
      expect((await openMessage(await signMessage(key, content, now_s), keys, now_s)).jti).toBe(content.jti);
    }
    expect(world.fetches).toBe(1);
    world.published = [young];
    world.now += 601_000;
    await expect(openMessage(await signMessage(old, content, now_s), keys, now_s)).rejects.toMatchObject({
      code: 'signature_invalid',
    });
    await expect(openMessage(await signMessage(young, content, now_s), keys, now_s)).resolves.toBeDefined();
  });

  it('passes over keys of kinds that it does not know', async () => {
    const { old } = await owner();
    const strangers = [{ kty: 'RSA', kid: 'rsa', n: 'AQAB', e: 'AQAB' }, { kty: 'AKP', kid: 'pq' }, null, 'text'];
    const keys = new FetchedKeys({
      now: () => 1e6,
      load: async () => ({ keys: [...strangers, ...publicKeys([old]).keys] }),
    });
    expect(await keys.find('old')).toMatchObject({ kid: 'old' });
    await expect(keys.find('rsa')).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('finds a new key by one more fetch, at most every 30 s', async () => {
    const { old, young, world, keys } = await owner();
    await keys.find('old');
    world.published = [old, young];
    for (let i = 0; i < 20; i += 1) {
      await expect(keys.find(`invented-${i}`)).rejects.toMatchObject({ code: 'unavailable' });
    }
    await expect(keys.find('young')).rejects.toMatchObject({ retryAfterS: 30 });
    expect(world.fetches).toBe(1);
    world.now += 30_000;
    expect(await keys.find('young')).toMatchObject({ kid: 'young' });
    expect(world.fetches).toBe(2);
    world.now += 30_000;
    expect(await keys.find('invented')).toBeNull();
  });

  it('never takes a failed fetch for an answer, and asks again with growing pauses', async () => {
    const { world, keys } = await owner();
    world.down = true;
    const pauses: number[] = [];
    for (let i = 0; i < 6; i += 1) {
      await expect(keys.find('old')).rejects.toMatchObject({ code: 'unavailable' });
      const before = world.fetches;
      await expect(keys.find('old')).rejects.toMatchObject({ code: 'unavailable' });
      expect(world.fetches).toBe(before);
      let waited = 0;
      while (world.fetches === before) {
        world.now += 250;
        waited += 250;
        await keys.find('old').catch(() => {});
      }
      pauses.push(waited);
    }
    expect(pauses).toEqual([500, 1000, 2000, 4000, 8000, 8000]);
    expect(keys.ready).toBe(false);
    world.down = false;
    world.now += 8000;
    expect(await keys.find('old')).toMatchObject({ kid: 'old' });
    expect(keys.ready).toBe(true);
  });

  it('keeps verifying with a known key while its owner is away', async () => {
    const { world, keys } = await owner();
    await keys.find('old');
    world.down = true;
    world.now += 3_600_000;
    expect(await keys.find('old')).toMatchObject({ kid: 'old' });
  });

  it('fetches once for many callers at once', async () => {
    const { world, keys } = await owner();
    await Promise.all(Array.from({ length: 50 }, () => keys.find('old')));
    expect(world.fetches).toBe(1);
  });
});

it('publishes no private part', async () => {
  const key = await newSigningKey('k');
  expect(JSON.stringify(publicKeys([key]))).not.toContain(key.jwk.d);
  expect(await fixedKeys(publicKeys([key])).find('k')).toMatchObject({ x: key.jwk.x });
});
