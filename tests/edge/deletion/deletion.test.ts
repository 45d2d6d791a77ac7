/** After a deletion nothing is found in any store; what another holds stays. */
import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { dispatcherOf } from '../../../edge/jobs/dispatcher/dispatcher-of.ts';
import { INSERT_WORKER, mintWorker, workerValues } from '../../../edge/keys/mint.ts';
import { sha256Hex } from '../../../shared/signing/digest.ts';
import { signWorkerCall } from '../../../shared/signing/worker-call.ts';
import { until } from '../../support/until.ts';
import { type Client, newClient, problemOf, send } from '../support/client.ts';
import { completeJob, failJob } from '../support/finished-job.ts';
import { keptIn } from '../support/stores.ts';
import { plantVector } from '../support/vector.ts';

const objects = async (tenant: string) => (await env.R2.list({ prefix: `t/${tenant}/` })).objects.map(({ key }) => key);
const TABLES = [
  'keys',
  'inbound_hooks',
  'recipes',
  'webhook_endpoints',
  'webhook_secrets',
  'runs',
  'jobs',
  'vector_names',
  'published',
  'artefacts',
  'blob_uses',
  'models',
  'staging',
  'blobs',
  'tenant_deletions',
  'usage',
  'spending_caps',
  'delivery_queues',
];
const rowsOf = async (tenant: string) => {
  const found: string[] = [];
  for (const table of TABLES) {
    const row = await env.DB.prepare(`SELECT count(*) AS n FROM ${table} WHERE tenant = ?`)
      .bind(tenant)
      .first<{ n: number }>();
    if (row?.n) {
      found.push(`${table}: ${row.n}`);
    }
  }
  return found;
};
const post = async (client: Client, key: string): Promise<string> => {
  const body = { type: 'diagnostics.run', params: {}, webhook: 'https://hooks.customer.dev/x' };
  const answer = await client.call('POST', '/v1/jobs', { body, headers: { 'idempotency-key': key } });
  return (await answer.json<{ id: string }>()).id;
};
/** Tables that an object's storage holds. */
const tablesIn = (stub: DurableObjectStub) =>
  runInDurableObject(stub, (_, state) =>
    state.storage.sql
      .exec<{ name: string }>(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\'",
      )
      .toArray()
      .map(({ name }) => name),
  );

describe('deleting', () => {
  it('a vector takes its bytes along, unless another vector holds them', async () => {
    const client = await newClient();
    const one = await plantVector(client.tenant, 16, 1);
    await env.DB.prepare('DELETE FROM artefacts WHERE tenant = ?').bind(client.tenant).run();
    await env.DB.prepare("DELETE FROM blob_uses WHERE tenant = ? AND holder LIKE 'art_%'").bind(client.tenant).run();
    await env.DB.prepare("INSERT INTO blob_uses SELECT tenant, sha256, 'other' FROM blobs WHERE tenant = ?")
      .bind(client.tenant)
      .run();
    await client.call('DELETE', `/v1/vectors/${one.id}`);
    expect((await objects(client.tenant)).filter((key) => key.includes('/blob/'))).toHaveLength(1);
    const two = await plantVector(client.tenant, 16, 2);
    await env.DB.prepare('DELETE FROM artefacts WHERE tenant = ?').bind(client.tenant).run();
    await env.DB.prepare("DELETE FROM blob_uses WHERE tenant = ? AND holder LIKE 'art_%'").bind(client.tenant).run();
    expect((await client.call('DELETE', `/v1/vectors/${two.id}`)).status).toBe(204);
    expect((await objects(client.tenant)).filter((key) => key.includes('/blob/'))).toHaveLength(1);
    const { results } = await env.DB.prepare('SELECT sha256 FROM deletions').all<{ sha256: string }>();
    expect(results.map(({ sha256 }) => sha256)).toContain(two.manifest.blobs[0]?.sha256);
  });

  it('what something else uses answers 409 with the list', async () => {
    const client = await newClient();
    const vector = await plantVector(client.tenant);
    await client.call('PUT', '/v1/vector-names/used', { body: { id: vector.id } });
    const problem = await problemOf(await client.call('DELETE', `/v1/vectors/${vector.id}`));
    expect(problem).toMatchObject({ status: 409, errors: [{ code: 'in_use', detail: 'used' }] });
  });

  it('a job that has ended leaves nothing of it', async () => {
    const client = await newClient();
    const id = await post(client, 'gone');
    expect((await client.call('DELETE', `/v1/jobs/${id}`)).status).toBe(409);
    await client.call('POST', `/v1/jobs/${id}/cancel`);
    const other = await newClient();
    expect((await other.call('DELETE', `/v1/jobs/${id}`)).status).toBe(404);
    expect((await client.call('DELETE', `/v1/jobs/${id}`)).status).toBe(204);
    expect((await client.call('GET', `/v1/jobs/${id}`)).status).toBe(404);
    expect(await tablesIn(env.LEDGER.getByName(id))).toEqual([]);
    expect(await env.DB.prepare('SELECT id FROM jobs WHERE id = ?').bind(id).all()).toMatchObject({ results: [] });
    // workers are told to forget what they remember of it, by a signed call and by nobody else
    const { row, privateJwk } = await mintWorker({ pool: 'default', now: Date.now() });
    await env.DB.prepare(INSERT_WORKER)
      .bind(...workerValues(row))
      .run();
    const call = { method: 'GET', path: '/internal/deletions', body: new Uint8Array(), fence: null };
    const authorization = await signWorkerCall({ kid: row.id, jwk: privateJwk }, call, Date.now() / 1000);
    const told = await send('GET', '/internal/deletions?after=0', {}, { authorization });
    const { deletions } = await told.json<{ deletions: { sha256: string }[] }>();
    expect(deletions).toContainEqual({ sha256: await sha256Hex(id) });
    expect((await send('GET', '/internal/deletions?after=0')).status).toBe(401);
  });
});

describe('deleting a tenant', () => {
  it('takes two steps and leaves nothing but audit rows', async () => {
    const client = await newClient();
    const step = { id: 'only', type: 'diagnostics.run', params: {} };
    const recipe = await (await client.call('POST', '/v1/recipes', { body: { name: 'r', steps: [step] } })).json<{
      id: string;
    }>();
    const hook = await client.call('POST', '/v1/inbound-hooks', {
      body: { name: 'h', provider: 'github', recipe: recipe.id },
    });
    const { id: hookId } = await hook.json<{ id: string }>();
    const endpoint = await client.call('POST', '/v1/webhook-endpoints', {
      body: { address: 'https://hooks.customer.dev/' },
    });
    const { id: endpointId } = await endpoint.json<{ id: string }>();
    await client.call('POST', `/v1/webhook-endpoints/${endpointId}/test`);
    const jobs = [await post(client, 'a'), await post(client, 'b')];
    await plantVector(client.tenant);
    await env.KV.put(`vector/${client.tenant}/x`, 'x');

    const weak = await newClient({ tenant: client.tenant, scopes: ['jobs:write'] });
    expect((await weak.call('POST', '/v1/tenant-deletions', { body: {} })).status).toBe(403);
    const first = await client.call('POST', '/v1/tenant-deletions', { body: {} });
    const { confirmation, will_go } = await first.json<{ confirmation: string; will_go: Record<string, number> }>();
    expect(will_go).toMatchObject({ jobs: 2, published: 1, inbound_hooks: 1, webhook_endpoints: 1, recipes: 1 });
    expect((await client.call('POST', '/v1/tenant-deletions', { body: { confirmation: 'wrong' } })).status).toBe(409);
    expect(await rowsOf(client.tenant)).not.toEqual([]);
    expect((await client.call('POST', '/v1/tenant-deletions', { body: { confirmation } })).status).toBe(202);

    await until(async () => (await rowsOf(client.tenant)).length === 0, 'the rows to go').catch(async () => {
      throw new Error((await rowsOf(client.tenant)).join(', '));
    });
    expect(await objects(client.tenant)).toEqual([]);
    expect((await env.KV.list({ prefix: `vector/${client.tenant}/` })).keys).toEqual([]);
    for (const stub of [
      ...jobs.map((id) => env.LEDGER.getByName(id)),
      env.INBOX.getByName(hookId),
      env.DELIVERIES.getByName(endpointId),
    ]) {
      expect(await tablesIn(stub)).toEqual([]);
    }
    const { results } = await env.DB.prepare('SELECT action FROM audit WHERE tenant = ? ORDER BY seq DESC LIMIT 1')
      .bind(client.tenant)
      .all();
    expect(results).toEqual([{ action: 'tenant.delete' }]);
    const versions = await env.DB.prepare('SELECT count(*) AS n FROM recipe_versions WHERE recipe = ?')
      .bind(recipe.id)
      .first();
    expect(versions).toEqual({ n: 0 });
  });
});

describe('an upload address that outlives its owner', () => {
  const announced = async (client: Client) => {
    const body = { name: 'x', sha256: await sha256Hex('late'), bytes: 4, media_type: 'text/plain' };
    const answer = await client.call('POST', '/v1/artefacts', { body });
    const { id, upload } = await answer.json<{ id: string; upload: { url: string } }>();
    // where a PUT to the address puts it
    const key = new URL(upload.url).pathname.split('/').slice(-6).join('/');
    expect(key).toMatch(new RegExp(`^t/${client.tenant}/staging/${id}/`));
    return { id, put: () => env.R2.put(key, 'late'), head: () => env.R2.head(key) };
  };

  it('holds nothing of a deleted artefact, committed or not', async () => {
    const client = await newClient();
    for (const commits of [true, false]) {
      const { id, put, head } = await announced(client);
      await put();
      if (commits) {
        expect((await client.call('POST', `/v1/artefacts/${id}/commit`)).status).toBe(200);
      }
      expect((await client.call('DELETE', `/v1/artefacts/${id}`)).status).toBe(204);
      expect(await head()).toBeNull();
      expect(await objects(client.tenant)).toEqual([]);
    }
  });

  it('is swept every half minute after the deletion of its tenant, until it has expired', async () => {
    const client = await newClient();
    const { put } = await announced(client);
    const first = await client.call('POST', '/v1/tenant-deletions', { body: {} });
    const { confirmation } = await first.json<{ confirmation: string }>();
    expect((await client.call('POST', '/v1/tenant-deletions', { body: { confirmation } })).status).toBe(202);
    await until(async () => (await rowsOf(client.tenant)).length === 0, 'the rows to go');
    const eraser = env.ERASER.getByName(client.tenant);
    type Task = { begun_at: number; uploads_until: number };
    const set = (change: Partial<Task>) =>
      runInDurableObject(eraser, async (_, { storage }) => {
        const task = await storage.get<Task>('task');
        await storage.put('task', { ...task, ...change });
        return task?.uploads_until ?? 0;
      });
    expect(await set({ begun_at: 0 })).toBeGreaterThan(Date.now() + 3_600_000);
    for (let i = 0; i < 3; i += 1) {
      await put();
      await runDurableObjectAlarm(eraser);
      expect(await objects(client.tenant)).toEqual([]);
      const next = await runInDurableObject(eraser, (_, { storage }) => storage.getAlarm());
      expect(next).toBeLessThan(Date.now() + 31_000);
    }
    await set({ uploads_until: 0 });
    await runDurableObjectAlarm(eraser);
    expect(await runInDurableObject(eraser, async (_, { storage }) => (await storage.list()).size)).toBe(0);
    expect(await runInDurableObject(eraser, (_, { storage }) => storage.getAlarm())).toBeNull();
  });
});

describe('after a tenant was deleted', () => {
  it('no store holds a word of it, but for the audit log', async () => {
    const client = await newClient();
    const { tenant } = client;
    const word = `canary${crypto.randomUUID().replaceAll('-', '')}`;
    const made = async (path: string, body: unknown, headers: Record<string, string> = {}) => {
      const answer = await client.call('POST', path, { body, headers });
      expect(answer.ok, `${path}: ${answer.status}`).toBe(true);
      return answer.json<{ id: string; path: string; confirmation: string }>();
    };
    const job = (key: string, more: Record<string, unknown> = {}) =>
      made(
        '/v1/jobs',
        {
          type: 'diagnostics.run',
          params: { padding: word, ...more },
          labels: { word },
          webhook: `https://${word}.dev/a`,
        },
        { 'idempotency-key': `${word}-${key}` },
      );
    const [waiting, done, gone, large] = [
      await job('waiting'),
      await job('done'),
      await job('gone'),
      await job('large', { padding: word.repeat(2000) }),
    ];
    await completeJob(done.id, { steps: 1, padding_length: 0, artefact_digests: [], word });
    await failJob(large.id);
    // a job that went before: its webhook's queue is known to nobody but the index of queues
    await client.call('POST', `/v1/jobs/${gone.id}/cancel`);
    await until(async () => (await client.call('DELETE', `/v1/jobs/${gone.id}`)).status === 204, 'it to be deleted');
    const step = { id: 'only', type: 'diagnostics.run', params: { padding: word } };
    const recipe = await made('/v1/recipes', { name: word, steps: [step] });
    const secret = `whsec_${btoa(word.slice(0, 32))}`;
    const hook = await made('/v1/inbound-hooks', {
      name: word,
      provider: 'standard_webhooks',
      recipe: recipe.id,
      secret,
    });
    await client.call('POST', hook.path, { body: { word }, headers: { 'webhook-id': word } });
    const endpoint = await made('/v1/webhook-endpoints', { name: word, address: `https://${word}.dev/b` });
    await made(`/v1/webhook-endpoints/${endpoint.id}/test`, undefined);
    await client.call('POST', '/v1/keys', { body: { name: word, scopes: ['jobs:read'] } });
    const vector = await plantVector(tenant);
    await client.call('PUT', `/v1/vector-names/${word}`, { body: { id: vector.id } });
    await env.KV.put(`vector/${tenant}/x`, word);
    const description = JSON.stringify({ word });
    await env.DB.prepare('INSERT INTO models VALUES (?, ?, ?, 0)').bind(tenant, word, description).run();
    const operator = await newClient({ scopes: ['operator'] });
    await operator.call('PUT', `/v1/spending-caps/${tenant}`, { body: { device_seconds_per_day: 1e6 } });
    await dispatcherOf(env, { pool: 'default', lane: 'batch' }).announce('wkr_test', null);

    const needles = [word, tenant, waiting.id, done.id, gone.id, large.id, recipe.id, hook.id, endpoint.id, vector.id];
    const before = await keptIn(needles);
    for (const store of ['D1 jobs', 'D1 keys', 'R2 t/', 'KV vector', 'LEDGER', 'IDEMPOTENCY', 'INBOX', 'DELIVERIES']) {
      expect(
        before.some((where) => where.startsWith(store)),
        store,
      ).toBe(true);
    }
    expect(
      before.some((where) => where.startsWith('DISPATCHER')),
      'DISPATCHER',
    ).toBe(true);

    const { confirmation } = await made('/v1/tenant-deletions', {});
    expect((await client.call('POST', '/v1/tenant-deletions', { body: { confirmation } })).status).toBe(202);
    await until(async () => (await rowsOf(tenant)).length === 0, 'the rows to go');
    // the second look, when no isolate can remember a key any more
    const eraser = env.ERASER.getByName(tenant);
    await until(async () => {
      await runInDurableObject(eraser, async (_, { storage }) => {
        const task = await storage.get<{ begun_at: number }>('task');
        if (task) {
          await storage.put('task', { ...task, begun_at: 0 });
        }
      });
      await runDurableObjectAlarm(eraser);
      return (await runInDurableObject(eraser, async (_, { storage }) => (await storage.list()).size)) === 0;
    }, 'the eraser to be done');
    await until(async () => (await keptIn(needles)).every((where) => where.startsWith('D1 audit')), 'all to go').catch(
      async () => {
        expect(await keptIn(needles)).toEqual([]);
      },
    );
    const log = await env.DB.prepare('SELECT * FROM audit WHERE tenant = ?').bind(tenant).all();
    expect(JSON.stringify(log.results)).not.toContain(word);
  }, 90_000);
});

describe('deleting a model', () => {
  it('forgets one that jobs used, and takes one that was published along with its bytes', async () => {
    const client = await newClient();
    const key = 'hub:huggingface:octo/model@main';
    await env.DB.prepare('INSERT INTO models VALUES (?, ?, ?, 0)').bind(client.tenant, key, '{}').run();
    const path = `/v1/models/${encodeURIComponent(key)}`;
    const other = await newClient();
    expect((await other.call('DELETE', path)).status).toBe(404);
    expect((await client.call('DELETE', path)).status).toBe(204);
    expect((await client.call('DELETE', path)).status).toBe(404);
    expect(await rowsOf(client.tenant)).toEqual(['keys: 1']);
  });

  it('that results or recipes name answers 409 with the list', async () => {
    const client = await newClient();
    const vector = await plantVector(client.tenant);
    const step = { id: 'only', type: 'diagnostics.run', params: { padding: vector.id } };
    const recipe = await (await client.call('POST', '/v1/recipes', { body: { name: 'r', steps: [step] } })).json<{
      id: string;
    }>();
    const problem = await problemOf(await client.call('DELETE', `/v1/vectors/${vector.id}`));
    expect(problem).toMatchObject({ status: 409, errors: [{ code: 'in_use', detail: recipe.id }] });
    await client.call('DELETE', `/v1/recipes/${recipe.id}`);
    expect((await client.call('DELETE', `/v1/vectors/${vector.id}`)).status).toBe(204);
  });
});
