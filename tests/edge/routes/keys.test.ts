import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { asSql, INSERT_WORKER, keyIdOf, mintWorker, visiblePrefix, workerValues } from '../../../edge/keys/mint.ts';
import { checkKey, equalDigests, KEY_CACHE_MS, rememberedKey } from '../../../edge/keys/registry.ts';
import { findWorker } from '../../../edge/workers/registry.ts';
import { type Client, newClient, problemOf, send } from '../support/client.ts';
import { plantVector } from '../support/vector.ts';

type KeyBody = { id: string; key: string; prefix: string; scopes: string[]; expires_at: string | null };
const withKey = (key: string, path: string) => send('GET', path, {}, { authorization: `Bearer ${key}` });
async function create(admin: Client, body: Record<string, unknown>): Promise<KeyBody> {
  const answer = await admin.call('POST', '/v1/keys', { body });
  expect(answer.status).toBe(201);
  return (await answer.json()) as KeyBody;
}

describe('an API key', () => {
  it('is shown once and stored as a digest', async () => {
    const admin = await newClient();
    const answer = await admin.call('POST', '/v1/keys', { body: { name: 'ci', scopes: ['vectors:read'] } });
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const made = (await answer.json()) as KeyBody;
    expect(answer.headers.get('location')).toBe(`/v1/keys/${made.id}`);
    expect(made.key.startsWith(made.prefix)).toBe(true);
    expect(keyIdOf(made.key)).toBe(made.id);
    expect(visiblePrefix(made.id)).toBe(made.prefix);
    const row = await env.DB.prepare('SELECT * FROM keys WHERE id = ?').bind(made.id).first();
    expect(JSON.stringify(row)).not.toContain(made.key.slice(made.prefix.length));
    expect(await (await admin.call('GET', `/v1/keys/${made.id}`)).json()).not.toHaveProperty('key');
    const { data } = (await (await admin.call('GET', '/v1/keys')).json()) as { data: KeyBody[] };
    expect(data.map((key) => key.id)).toContain(made.id);
    expect(JSON.stringify(data)).not.toContain(made.key);
  });

  it('opens what its scopes name, and nothing else', async () => {
    const admin = await newClient();
    const vector = await plantVector(admin.tenant);
    const made = await create(admin, { name: 'reader', scopes: ['vectors:read'] });
    expect((await withKey(made.key, `/v1/vectors/${vector.id}`)).status).toBe(200);
    const refused = await problemOf(await withKey(made.key, '/v1/keys'));
    expect(refused.code).toBe('scope_missing');
    expect(refused.detail).toContain('keys:admin');
  });

  it('never grants a scope that its maker lacks, by creation or by rotation', async () => {
    const owner = await newClient();
    const limited = await newClient({ tenant: owner.tenant, scopes: ['keys:admin', 'vectors:read'] });
    const body = { name: 'more', scopes: ['vectors:read', 'artefacts:write'] };
    expect((await problemOf(await limited.call('POST', '/v1/keys', { body }))).code).toBe('scope_missing');
    expect((await problemOf(await limited.call('POST', `/v1/keys/${owner.keyId}/rotate`))).code).toBe('scope_missing');
  });

  it('ends at its expiry, also where it is remembered', async () => {
    const admin = await newClient();
    const made = await create(admin, { name: 'short', scopes: ['vectors:read'], expires_in_s: 10 });
    const now = Date.now();
    expect(await checkKey(env, made.key, now)).not.toBeNull();
    expect(rememberedKey(made.key, now + 9_000)).toBeDefined();
    expect(rememberedKey(made.key, now + 11_000)).toBeUndefined();
    expect(await checkKey(env, made.key, now + 11_000)).toBeNull();
  });

  it('ends everywhere within 30 s of its revocation', async () => {
    const admin = await newClient();
    const made = await create(admin, { name: 'leaked', scopes: ['vectors:read'] });
    expect((await withKey(made.key, '/v1/vectors')).status).toBe(200);
    expect((await admin.call('DELETE', `/v1/keys/${made.id}`)).status).toBe(204);
    expect((await problemOf(await withKey(made.key, '/v1/vectors'))).code).toBe('unauthenticated');
    // an isolate that did not see the revocation, but remembers the key
    const other = await create(admin, { name: 'elsewhere', scopes: ['vectors:read'] });
    const now = Date.now();
    await checkKey(env, other.key, now);
    await env.DB.prepare('UPDATE keys SET revoked_at = ? WHERE id = ?').bind(now, other.id).run();
    expect(KEY_CACHE_MS).toBeLessThanOrEqual(30_000);
    expect(await checkKey(env, other.key, now + KEY_CACHE_MS)).toBeNull();
  });

  it('is replaced by rotation, with an overlap if wanted', async () => {
    const admin = await newClient();
    const old = await create(admin, { name: 'rotates', scopes: ['vectors:read'] });
    const kept = await admin.call('POST', `/v1/keys/${old.id}/rotate?overlap_s=3600`);
    expect(kept.status).toBe(201);
    const next = (await kept.json()) as KeyBody;
    expect(next.scopes).toEqual(old.scopes);
    for (const { key } of [old, next]) {
      expect((await withKey(key, '/v1/vectors')).status).toBe(200);
    }
    const last = (await (await admin.call('POST', `/v1/keys/${next.id}/rotate`)).json()) as KeyBody;
    expect((await withKey(next.key, '/v1/vectors')).status).toBe(401);
    expect((await withKey(last.key, '/v1/vectors')).status).toBe(200);
    const dead = await problemOf(await admin.call('POST', `/v1/keys/${next.id}/rotate`));
    expect(dead.code).toBe('conflict');
  });

  it('is made once per Idempotency-Key, and its text not shown again', async () => {
    const [admin, other] = [await newClient(), await newClient()];
    const make = (of: Client, name: string) =>
      of.call('POST', '/v1/keys', {
        body: { name, scopes: ['vectors:read'] },
        headers: { 'idempotency-key': 'retry-1' },
      });
    const first = await make(admin, 'once');
    const second = await make(admin, 'once');
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.headers.get('location')).toBe(first.headers.get('location'));
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    expect(second.headers.get('x-request-id')).not.toBeNull();
    const [made, again] = [(await first.json()) as KeyBody, await second.json()];
    expect(made.key).toEqual(expect.any(String));
    expect(again).toEqual({ ...made, key: null });
    expect((await problemOf(await make(admin, 'another'))).code).toBe('idempotency_key_reused');
    // keys are the tenant's own, and a refused request does not use one up
    expect((await make(other, 'once')).headers.get('location')).not.toBe(first.headers.get('location'));
    const refused = (body: object) =>
      other.call('POST', '/v1/keys', { body, headers: { 'idempotency-key': 'retry-2' } });
    expect((await refused({ name: '', scopes: [] })).status).toBe(422);
    expect((await refused({ name: 'good', scopes: ['vectors:read'] })).status).toBe(201);
    const rotate = () =>
      admin.call('POST', `/v1/keys/${admin.keyId}/rotate?overlap_s=60`, { headers: { 'idempotency-key': 'retry-3' } });
    const rotated = await rotate();
    expect((await rotate()).headers.get('location')).toBe(rotated.headers.get('location'));
  });

  it('belongs to its tenant', async () => {
    const [one, other] = [await newClient(), await newClient()];
    for (const [method, path] of [
      ['GET', `/v1/keys/${one.keyId}`],
      ['DELETE', `/v1/keys/${one.keyId}`],
      ['POST', `/v1/keys/${one.keyId}/rotate`],
    ] as const) {
      expect((await problemOf(await other.call(method, path))).code).toBe('not_found');
    }
    expect((await one.call('GET', '/v1/keys')).status).toBe(200);
  });

  it('is asked for in one form only', async () => {
    const { key } = await newClient();
    const wrong = `sextant_${'a'.repeat(26)}_${'b'.repeat(52)}`;
    const tampered = key.slice(0, -1) + (key.endsWith('a') ? 'b' : 'a');
    for (const authorization of [
      '',
      'Bearer',
      'Bearer nonsense',
      `Bearer ${wrong}`,
      `Bearer ${tampered}`,
      `Basic ${key}`,
    ]) {
      const answer = await send('GET', '/v1/keys', {}, authorization ? { authorization } : {});
      expect((await problemOf(answer)).code).toBe('unauthenticated');
      expect(answer.headers.get('www-authenticate')).toContain('Bearer');
    }
    expect((await send('GET', `/v1/keys?key=${key}`)).status).toBe(401);
  });

  it('is listed page by page, newest first', async () => {
    const admin = await newClient();
    const made: string[] = [];
    for (let i = 0; i < 4; i += 1) {
      made.push((await create(admin, { name: `k${i}`, scopes: ['vectors:read'] })).id);
    }
    const seen: string[] = [];
    let path: string | undefined = '/v1/keys?limit=2';
    while (path) {
      const answer = await admin.call('GET', path);
      const { data, next_cursor } = (await answer.json()) as { data: KeyBody[]; next_cursor: string | null };
      seen.push(...data.map((key) => key.id));
      expect(data.length).toBeLessThanOrEqual(2);
      path = /<(.*)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1];
      expect(path === undefined).toBe(next_cursor === null);
    }
    expect(new Set(seen)).toEqual(new Set([...made, admin.keyId]));
    expect(seen).toHaveLength(5);
    const bad = await problemOf(await admin.call('GET', '/v1/keys?cursor=%25%25'));
    expect(bad).toMatchObject({ code: 'parameter_invalid', errors: [{ pointer: '/cursor' }] });
  });
});

describe('a registered worker', () => {
  it('verifies with its public key until its end', async () => {
    const now = Date.now();
    const { id, privateJwk, row } = await mintWorker({ pool: 'cpu', now, expires_at: now + 1000 });
    await env.DB.prepare(INSERT_WORKER)
      .bind(...workerValues(row))
      .run();
    expect(row.jwk).not.toContain(String(privateJwk.d));
    const worker = await findWorker(env, id, now);
    expect(worker).toMatchObject({ id, pool: 'cpu' });
    const secret = await crypto.subtle.importKey('jwk', privateJwk as unknown as JsonWebKey, 'Ed25519', false, [
      'sign',
    ]);
    const text = new TextEncoder().encode('claim');
    const signature = await crypto.subtle.sign('Ed25519', secret, text);
    expect(await crypto.subtle.verify('Ed25519', worker!.publicKey, signature, text)).toBe(true);
    expect(await findWorker(env, id, now + 1000)).toBeNull();
    expect(await findWorker(env, `wkr_${'a'.repeat(26)}`, now)).toBeNull();
  });

  it('can be registered by a statement with its values written in', async () => {
    const { id, row } = await mintWorker({ pool: "o'clock", now: 5 });
    await env.DB.prepare(asSql(INSERT_WORKER, workerValues(row))).run();
    expect(await findWorker(env, id, 10)).toMatchObject({ pool: "o'clock" });
  });
});

describe('the comparison of digests', () => {
  it('tells equal from different', () => {
    expect(equalDigests('ab12', 'ab12')).toBe(true);
    expect(equalDigests('ab12', 'ab13')).toBe(false);
    expect(equalDigests('ab12', 'ab1')).toBe(false);
    expect(equalDigests('', '')).toBe(true);
  });
});
