import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { blobKey } from '../../../edge/artefacts/addresses.ts';
import { fastVector } from '../../../edge/vectors/fast-path.ts';
import { lookUp, remembered } from '../../../edge/vectors/lookup.ts';
import { RECHECK_MS, VectorMemory } from '../../../edge/vectors/memory.ts';
import type { Representation } from '../../../edge/vectors/representation.ts';
import { QUERIES, selectionFor, selectionOf } from '../../../edge/vectors/selection.ts';
import { type Client, newClient, problemOf } from '../support/client.ts';
import { plantVector } from '../support/vector.ts';

const RAW = selectionOf('raw', 'float32');
const PUBLIC = 'public';

/** Looks one vector up and waits for what that does in the background. */
async function tierOf(tenant: string, id: string, now: number): Promise<string | undefined> {
  const context = createExecutionContext();
  const found = await lookUp(env, context, tenant, [id], RAW, now);
  await waitOnExecutionContext(context);
  return found.get(id)?.tier;
}
const forgetIsolate = (tenant: string, id: string, now: number) => tierOf(tenant, id, now + RECHECK_MS);

describe('the lookup tiers', () => {
  it('are memory, then KV, then R2', async () => {
    const { id, manifest } = await plantVector('tiers');
    const now = Date.now();
    expect(await tierOf('tiers', id, now)).toBe('r2');
    expect(await tierOf('tiers', id, now)).toBe('memory');
    // another representation is not in memory yet, and KV has what it is made from
    const context = createExecutionContext();
    const other = await lookUp(env, context, 'tiers', [id], selectionOf('npy', 'float16'), now);
    await waitOnExecutionContext(context);
    expect(other.get(id)!.tier).toBe('kv');
    // KV alone is enough: the blob is not asked for again
    await env.R2.delete(blobKey('tiers', manifest.blobs[0]!.sha256));
    const third = await lookUp(env, createExecutionContext(), 'tiers', [id], selectionOf('npy', 'float32'), now);
    expect(third.get(id)!.tier).toBe('kv');
  });

  it('forget a deleted vector: this isolate at once, any other within a minute', async () => {
    const client = await newClient();
    const { id } = await plantVector(client.tenant);
    const now = Date.now();
    await tierOf(client.tenant, id, now);
    expect((await client.call('DELETE', `/v1/vectors/${id}`)).status).toBe(204);
    expect(await tierOf(client.tenant, id, now)).toBeUndefined();

    // an isolate that did not see the deletion
    const second = await plantVector(client.tenant);
    await tierOf(client.tenant, second.id, now);
    await env.DB.prepare('DELETE FROM published WHERE id = ?').bind(second.id).run();
    expect(await tierOf(client.tenant, second.id, now + RECHECK_MS - 1)).toBe('memory');
    expect(await tierOf(client.tenant, second.id, now + RECHECK_MS)).toBeUndefined();
    expect(await env.KV.get(`vector/${client.tenant}/${second.id}`)).toBeNull();
  });

  it('keep a vector that the recheck finds', async () => {
    const { id } = await plantVector('rechecks');
    const now = Date.now();
    await tierOf('rechecks', id, now);
    expect(remembered('rechecks', id, RAW, now + RECHECK_MS)).toBeUndefined();
    expect(await forgetIsolate('rechecks', id, now)).toBe('memory');
    expect(remembered('rechecks', id, RAW, now + 2 * RECHECK_MS - 1)).toBeDefined();
  });

  it('drop from KV what the index no longer has, after one answer at most', async () => {
    const { id } = await plantVector('resurrected');
    const now = Date.now();
    await tierOf('resurrected', id, now);
    await env.DB.prepare('DELETE FROM published WHERE id = ?').bind(id).run();
    const context = createExecutionContext();
    await lookUp(env, context, 'resurrected', [id], selectionOf('json', 'float32'), now);
    await waitOnExecutionContext(context);
    expect(await tierOf('resurrected', id, now)).toBeUndefined();
  });

  it('serve the public tenant’s vectors to all, cacheable for ever, and each tenant’s own to it alone', async () => {
    const [one, other] = [await newClient(), await newClient()];
    const shared = await plantVector(PUBLIC);
    const own = await plantVector(one.tenant);
    for (const round of [1, 2]) {
      for (const client of [one, other]) {
        const answer = await client.call('GET', `/v1/vectors/${shared.id}?format=raw`);
        expect([round, answer.status]).toEqual([round, 200]);
        expect(answer.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
      }
      const mine = await one.call('GET', `/v1/vectors/${own.id}?format=raw`);
      expect(mine.headers.get('cache-control')).toBe('private, max-age=300');
      expect(mine.headers.get('vary')).toBe('Accept, Authorization');
      const theirs = await other.call('GET', `/v1/vectors/${own.id}?format=raw`);
      expect((await problemOf(theirs)).code).toBe('not_found');
    }
    // nobody but the operator changes public results
    expect((await problemOf(await one.call('DELETE', `/v1/vectors/${shared.id}`))).code).toBe('not_found');
    const { data } = (await (await other.call('GET', '/v1/vectors')).json()) as { data: { id: string }[] };
    const listed = data.map((vector) => vector.id);
    expect(listed).toContain(shared.id);
    expect(listed).not.toContain(own.id);
  });
});

describe('the fast path', () => {
  const asked = (client: Client, path: string, headers: Record<string, string> = {}, method = 'GET') =>
    fastVector(
      new Request(`https://edge.test${path}`, {
        method,
        headers: { authorization: `Bearer ${client.key}`, ...headers },
      }),
    );

  it('answers what is remembered, and leaves everything else to the route', async () => {
    const client = await newClient();
    const other = await newClient();
    const blind = await newClient({ tenant: client.tenant, scopes: ['keys:admin'] });
    const { id } = await plantVector(client.tenant);
    const path = `/v1/vectors/${id}?format=raw`;
    expect(asked(client, path)).toBeNull();
    const ordinary = await client.call('GET', path);
    expect(asked(client, path)!.status).toBe(200);
    expect(asked(client, path, { 'if-none-match': ordinary.headers.get('etag')! })!.status).toBe(304);
    for (const stranger of [other, blind]) {
      await stranger.call('GET', '/v1/keys');
      expect(asked(stranger, path)).toBeNull();
    }
    expect(asked(client, path, {}, 'HEAD')).toBeNull();
    expect(asked(client, `/v1/vectors/${id}?format=npy`)).toBeNull();
    expect(asked(client, `/v1/vectors/${id}?format=raw&x=1`)).toBeNull();
    expect(asked(client, `/v1/vectors/${id}/x`)).toBeNull();
    expect(asked(client, `/v1/saes/${id}?format=raw`)).toBeNull();
    expect(asked(client, `/x?y=/v1/vectors/${id}?format=raw`)).toBeNull();
    expect(asked(client, path, { authorization: `bearer ${client.key}` })).toBeNull();
    expect(asked(client, path, { authorization: '' })).toBeNull();
    await client.call('DELETE', `/v1/keys/${client.keyId}`);
    expect(asked(client, path)).toBeNull();
  });

  it('spends the same quota as the route', async () => {
    const client = await newClient({ limits: { reads: 500 } });
    const { id } = await plantVector(client.tenant);
    const left = (answer: Response) => Number(/r=(\d+)/.exec(answer.headers.get('ratelimit')!)![1]);
    const first = left(await client.call('GET', `/v1/vectors/${id}`));
    const second = asked(client, `/v1/vectors/${id}`)!;
    expect(left(second)).toBe(first - 1);
  });

  it('reads queries and Accept as the route does', async () => {
    for (const [query, selection] of QUERIES) {
      const search = new URLSearchParams(query);
      const ordinary = selectionFor(
        search.get('format') as 'raw',
        (search.get('dtype') as 'float32' | null) ?? undefined,
        'text/html',
      );
      expect([query, ordinary]).toEqual([query, selection]);
    }
    for (const accept of [null, '*/*', 'application/json']) {
      expect(selectionFor(undefined, undefined, accept).format).toBe('metadata');
    }
  });
});

describe('the isolate’s memory', () => {
  const representation = (size: number): Representation => ({
    owner: 'o',
    description: {} as Representation['description'],
    bytes: new Uint8Array(size),
    etag: '""',
    validators: new Headers(),
    headers: new Headers(),
  });

  it('stays within its bound and keeps what is used', () => {
    const memory = new VectorMemory(20_000);
    memory.set('used', representation(1000), 0);
    for (let i = 0; i < 50; i += 1) {
      expect(memory.get('used')).toBeDefined();
      memory.set(`v${i}`, representation(1000), 0);
      expect(memory.bytes).toBeLessThanOrEqual(20_000);
    }
    expect(memory.get('v0')).toBeUndefined();
    expect(memory.get('v49')).toBeDefined();
  });

  it('counts a replaced entry once and refuses what would push everything out', () => {
    const memory = new VectorMemory(20_000);
    memory.set('a', representation(1000), 0);
    const once = memory.bytes;
    memory.set('a', representation(1000), 0);
    expect(memory.bytes).toBe(once);
    memory.set('huge', representation(15_000), 0);
    expect(memory.get('huge')).toBeUndefined();
    memory.delete('a');
    expect(memory.bytes).toBe(0);
  });
});
