import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { type Job, jobSchema } from '../../../shared/contracts/job.ts';
import { jobEventSchema } from '../../../shared/contracts/job-event.ts';
import diagnosticsRun from '../../../shared/jobs/diagnostics.run.ts';
import { type Client, newClient, problemOf } from '../support/client.ts';

let keys = 0;
const post = (client: Client, body: unknown, { key = `key-${++keys}`, query = '', prefer = '' } = {}) =>
  client.call('POST', `/v1/jobs${query}`, {
    body,
    headers: { ...(key ? { 'idempotency-key': key } : {}), ...(prefer ? { prefer } : {}) },
  });
const diagnostics = (params: Record<string, unknown> = {}, more: Record<string, unknown> = {}) => ({
  type: 'diagnostics.run',
  params,
  ...more,
});
const created = async (client: Client, ...rest: Parameters<typeof diagnostics>): Promise<Job> =>
  (await post(client, diagnostics(...rest))).json<Job>();

describe('POST /v1/jobs', () => {
  it('answers 202 with the job and its address', async () => {
    const client = await newClient();
    const answer = await post(client, diagnostics({ steps: 2 }, { labels: { run: 'a' } }));
    expect(answer.status).toBe(202);
    const job = jobSchema.parse(await answer.json());
    expect(answer.headers.get('location')).toBe(`/v1/jobs/${job.id}`);
    expect(job).toMatchObject({ status: 'queued', attempt: 0, result: null, labels: { run: 'a' } });
    // its place in line is told anew by each answer
    const queue = { ahead: expect.any(Number), expected_start: expect.toBeOneOf([null, expect.any(String)]) };
    expect(await (await client.call('GET', `/v1/jobs/${job.id}`)).json()).toEqual({ ...job, queue });
  });

  it('gives equal input an equal digest, whatever the order of fields and omitted defaults', async () => {
    const client = await newClient();
    const [a, b, c] = [
      await created(client, { steps: 2, seed: 7 }),
      await created(client, { seed: 7, busy: false, steps: 2 }),
      await created(client, { seed: 8, steps: 2 }),
    ];
    expect(a.input_digest).toBe(b.input_digest);
    expect(a.input_digest).not.toBe(c.input_digest);
  });

  it('names what would have been right', async () => {
    const client = await newClient();
    const type = await problemOf(await post(client, { type: 'diagnostics.rum', params: {} }));
    expect(type).toMatchObject({ code: 'job_type_unknown', status: 422 });
    expect(type.detail).toContain('diagnostics.run');
    expect(type.errors?.[0]?.pointer).toBe('/type');
    const field = await problemOf(await post(client, diagnostics({ step: 3 })));
    expect(field).toMatchObject({
      code: 'validation_failed',
      errors: [{ pointer: '/params/step', code: 'unknown_field' }],
    });
    expect(field.detail).toContain('steps');
    const outer = await problemOf(await post(client, { ...diagnostics(), timeout: 3 }));
    expect(outer.errors?.[0]).toMatchObject({ pointer: '/timeout', code: 'unknown_field' });
    expect(outer.detail).toContain('timeout_s');
    // Of a union, only the fields of the alternative that was named: the refused one is a field of the other.
    const pole = { label: 'a pole' };
    const means = { method: 'difference_in_means', model: { local: 'm' }, hook: 'resid_post.0', positive: pole };
    const { detail } = await problemOf(
      await post(client, { type: 'vectors.derive', params: { ...means, negative: pole, sae: 'sae_1' } }),
    );
    expect(detail).toMatch(/no field sae here; the fields are method, hook, hooks, positions, model/);
    expect(detail).not.toMatch(/latent|allow_mismatch/);
    const range = await problemOf(await post(client, diagnostics({ steps: 0, step_ms: -1 })));
    expect(range.errors?.map(({ pointer }) => pointer)).toEqual(['/params/steps', '/params/step_ms']);
  });

  it('refuses a hook point that a known model lacks, and lets an unseen model through', async () => {
    const client = await newClient();
    const description = {
      key: 'local:small',
      family: 'llama',
      revision: 'r',
      digest: 'e'.repeat(64),
      layers: 2,
      heads: 2,
      width: 8,
      vocabulary: 10,
      context: 16,
      parameters: 100,
      hooks: ['resid_post.0', 'resid_post.1', 'mlp_out.0', 'mlp_out.1'],
    };
    await env.DB.prepare('INSERT INTO models (tenant, key, description, seen_at) VALUES (?, ?, ?, 0)')
      .bind(client.tenant, description.key, JSON.stringify(description))
      .run();
    const train = (model: unknown, hook: string) => ({
      type: 'sae.train',
      params: { model, hook, corpus: { planted: {} }, saes: [{ variant: 'topk', width: 16, k: 2 }] },
    });
    const refused = await problemOf(await post(client, train({ local: 'small' }, 'resid_post.2')));
    expect(refused).toMatchObject({ code: 'hook_unknown', errors: [{ pointer: '/params/hook' }] });
    expect(refused.detail).toContain('resid_post.0 to resid_post.1');
    expect((await post(client, train({ local: 'small' }, 'resid_post.1'))).status).toBe(202);
    expect((await post(client, train({ local: 'never-seen' }, 'resid_post.99'))).status).toBe(202);
  });

  it('refuses a model that is for another task', async () => {
    const client = await newClient();
    const description = {
      task: 'ecg',
      key: 'local:hearts',
      family: 'ecg-u-transformer',
      revision: 'r',
      digest: 'e'.repeat(64),
      parameters: 100,
    };
    await env.DB.prepare('INSERT INTO models (tenant, key, description, seen_at) VALUES (?, ?, ?, 0)')
      .bind(client.tenant, description.key, JSON.stringify(description))
      .run();
    const params = { model: { local: 'hearts' }, prompts: ['a'] };
    const refused = await problemOf(await post(client, { type: 'lm.evaluate', params }));
    expect(refused).toMatchObject({ code: 'model_unsupported', errors: [{ pointer: '/params/model' }] });
    expect(refused.detail).toContain("'ecg'");
    const shown = await client.call('GET', `/v1/models/${encodeURIComponent(description.key)}`);
    expect(await shown.json()).toMatchObject({ task: 'ecg', parameters: 100 });
  });

  it('estimates by the sizes of a model that a worker described, and by assumed ones before', async () => {
    const client = await newClient();
    const estimateOf = async () => {
      const params = {
        model: { local: 'measured' },
        hook: 'resid_post.1',
        corpus: { planted: {} },
        saes: [{ variant: 'topk', width: 4096, k: 32 }],
      };
      const dry = await post(client, { type: 'sae.train', params }, { key: '', query: '?dry_run=true' });
      expect(dry.status).toBe(200);
      return (await dry.json<{ estimate: { device_seconds: number; memory_bytes: number } }>()).estimate;
    };
    const assumed = await estimateOf();
    const sizes = { layers: 2, heads: 2, width: 8, vocabulary: 10, context: 64, parameters: 100 };
    const hooks = ['resid_post.0', 'resid_post.1'];
    const description = {
      key: 'local:measured',
      family: 'llama',
      revision: 'r',
      digest: 'e'.repeat(64),
      ...sizes,
      hooks,
    };
    await env.DB.prepare('INSERT INTO models (tenant, key, description, seen_at) VALUES (?, ?, ?, 0)')
      .bind(client.tenant, description.key, JSON.stringify(description))
      .run();
    const described = await estimateOf();
    expect(described.device_seconds).toBeLessThan(assumed.device_seconds / 4);
    expect(described.memory_bytes).toBeLessThan(assumed.memory_bytes / 2);
  });

  it("refuses inputs that the tenant does not have, another tenant's included", async () => {
    const client = await newClient();
    const params = {
      model: { local: 'small' },
      hook: 'resid_post.0',
      corpus: { artefact: `art_${'a'.repeat(26)}` },
      saes: [{ variant: 'topk', width: 16, k: 2 }],
    };
    await env.DB.prepare(
      `INSERT INTO artefacts (id, tenant, sha256, bytes, media_type, name, state, created_at)
       VALUES (?, 'someone-else', 'f', 1, 'text/plain', 'n', 'stored', 0)`,
    )
      .bind(params.corpus.artefact)
      .run();
    expect(await problemOf(await post(client, { type: 'sae.train', params }))).toMatchObject({
      code: 'input_not_found',
      errors: [{ pointer: '/params/corpus/artefact' }],
    });
  });

  it('estimates without creating, and refuses what costs more than allowed', async () => {
    const client = await newClient();
    const dry = await post(client, diagnostics({ steps: 100, step_ms: 1000 }), { key: '', query: '?dry_run=true' });
    expect(dry.status).toBe(200);
    const { estimate } = await dry.json<{ estimate: { device_seconds: number } }>();
    expect(estimate.device_seconds).toBeCloseTo(100.2);
    const capped = await problemOf(await post(client, diagnostics({ steps: 100, step_ms: 1000 }, { max_cost: 100 })));
    expect(capped).toMatchObject({ code: 'spending_cap', status: 402, estimate });
    expect(await (await client.call('GET', '/v1/jobs')).json()).toEqual({ data: [], next_cursor: null });
  });

  it('needs the scope of the job type', async () => {
    const reader = await newClient({ scopes: ['jobs:read'] });
    expect(await problemOf(await post(reader, diagnostics()))).toMatchObject({ code: 'scope_missing', status: 403 });
  });
});

describe('an idempotency key', () => {
  it('is required', async () => {
    const client = await newClient();
    expect(await problemOf(await post(client, diagnostics(), { key: '' }))).toMatchObject({
      code: 'idempotency_key_missing',
      status: 400,
    });
  });

  it('replays status and location, once the first answer stands', async () => {
    const client = await newClient();
    const first = await post(client, diagnostics(), { key: 'same' });
    const again = await post(client, diagnostics(), { key: 'same' });
    expect([first.status, again.status]).toEqual([202, 202]);
    expect(again.headers.get('location')).toBe(first.headers.get('location'));
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect((await (await client.call('GET', '/v1/jobs')).json<{ data: Job[] }>()).data).toHaveLength(1);
  });

  it('creates one job for many requests at once', async () => {
    const client = await newClient();
    const answers = await Promise.all(Array.from({ length: 8 }, () => post(client, diagnostics(), { key: 'at-once' })));
    const locations = new Set(
      answers.filter(({ status }) => status === 202).map(({ headers }) => headers.get('location')),
    );
    expect(locations.size).toBe(1);
    for (const answer of answers.filter(({ status }) => status !== 202)) {
      expect((await problemOf(answer)).code).toBe('idempotency_in_flight');
    }
    expect((await (await client.call('GET', '/v1/jobs')).json<{ data: Job[] }>()).data).toHaveLength(1);
  });

  it('belongs to one body and one tenant', async () => {
    const [client, stranger] = [await newClient(), await newClient()];
    await post(client, diagnostics(), { key: 'mine' });
    expect(await problemOf(await post(client, diagnostics({ steps: 9 }), { key: 'mine' }))).toMatchObject({
      code: 'idempotency_key_reused',
      status: 422,
    });
    expect((await post(stranger, diagnostics({ steps: 9 }), { key: 'mine' })).status).toBe(202);
  });

  it('is free again after a request that was refused', async () => {
    const client = await newClient();
    expect((await post(client, diagnostics({ steps: 'two' }), { key: 'retry' })).status).toBe(422);
    expect((await post(client, diagnostics({ steps: 2 }), { key: 'retry' })).status).toBe(202);
  });
});

describe('reading jobs', () => {
  it('pages through them, newest first, each once', async () => {
    const client = await newClient();
    const made: string[] = [];
    for (let i = 0; i < 7; i += 1) {
      made.unshift((await created(client, {}, { labels: { i: String(i) } })).id);
    }
    const seen: string[] = [];
    let path: string | null = '/v1/jobs?limit=3';
    while (path) {
      const answer: Response = await client.call('GET', path);
      const { data, next_cursor } = await answer.json<{ data: Job[]; next_cursor: string | null }>();
      seen.push(...data.map((job) => job.id));
      path = /<(.*)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1] ?? null;
      expect(path === null).toBe(next_cursor === null);
    }
    expect(seen).toEqual(made);
    const canceled = made[2] ?? '';
    await client.call('POST', `/v1/jobs/${canceled}/cancel`);
    const filtered = await (await client.call('GET', '/v1/jobs?status=canceled')).json<{ data: Job[] }>();
    expect(filtered.data.map((job) => job.id)).toEqual([canceled]);
    expect((await problemOf(await client.call('GET', '/v1/jobs?cursor=nonsense'))).code).toBe('parameter_invalid');
    expect((await problemOf(await client.call('GET', '/v1/jobs?limit=1000'))).code).toBe('parameter_invalid');
  });

  it("shows nothing of another tenant's", async () => {
    const [owner, stranger] = [await newClient(), await newClient()];
    const { id } = await created(owner);
    for (const [method, path] of [
      ['GET', `/v1/jobs/${id}`],
      ['GET', `/v1/jobs/${id}/events`],
      ['POST', `/v1/jobs/${id}/cancel`],
      ['GET', `/v1/jobs/job_${'a'.repeat(26)}`],
      ['GET', '/v1/jobs/nonsense'],
    ] as const) {
      expect(await problemOf(await stranger.call(method, path))).toMatchObject({ code: 'not_found', status: 404 });
    }
    expect((await (await stranger.call('GET', '/v1/jobs')).json<{ data: Job[] }>()).data).toEqual([]);
    expect((await (await owner.call('GET', `/v1/jobs/${id}`)).json<Job>()).status).toBe('queued');
  });

  it('waits as long as the client prefers, and no longer than the job', async () => {
    const client = await newClient();
    const { id } = await created(client);
    const waiting = client.call('GET', `/v1/jobs/${id}`, { headers: { prefer: 'wait=30' } });
    await client.call('POST', `/v1/jobs/${id}/cancel`);
    const answer = await waiting;
    expect(answer.headers.get('preference-applied')).toBe('wait=30');
    expect((await answer.json<Job>()).status).toBe('canceled');
    const short = await post(client, diagnostics(), { prefer: 'wait=1' });
    expect(short.status).toBe(202);
  });
});

describe('GET /v1/jobs/{id}/events', () => {
  const frames = (text: string) =>
    text
      .split('\n\n')
      .filter((frame) => frame.startsWith('id: '))
      .map((frame) => {
        const [, id, event, data] = /^id: (\d+)\nevent: (\w+)\ndata: (.*)$/.exec(frame) ?? [];
        return jobEventSchema.parse({ id: Number(id), event, data: JSON.parse(data ?? '') });
      });

  it('gives the events so far, then new ones until the end, and resumes after Last-Event-ID', async () => {
    const client = await newClient();
    const { id } = await created(client);
    const answer = await client.call('GET', `/v1/jobs/${id}/events`);
    expect(answer.headers.get('content-type')).toContain('text/event-stream');
    const reading = answer.text();
    await client.call('POST', `/v1/jobs/${id}/cancel`);
    const all = frames(await reading);
    expect(all.map(({ id, data }) => [id, 'status' in data && data.status])).toEqual([
      [1, 'queued'],
      [2, 'canceled'],
    ]);
    const rest = await client.call('GET', `/v1/jobs/${id}/events`, { headers: { 'last-event-id': '1' } });
    expect(frames(await rest.text())).toEqual(all.slice(1));
    // 204 tells a standard client that there is nothing to come back for
    const none = await client.call('GET', `/v1/jobs/${id}/events`, { headers: { 'last-event-id': '2' } });
    expect(none.status).toBe(204);
  });
});

it('publishes all live signing keys and no private part', async () => {
  const answer = await (await newClient()).call('GET', '/.well-known/jwks.json');
  const text = await answer.text();
  expect(JSON.parse(text).keys.map((key: { kid: string }) => key.kid)).toEqual(['test-1', 'test-2']);
  expect(text).not.toContain('"d"');
});

describe('GET /v1/jobs/{id}/params', () => {
  const read = (client: Client, id: string) => client.call('GET', `/v1/jobs/${id}/params`);

  it('answers what the job was created with, with every default, short or long', async () => {
    const client = await newClient();
    for (const params of [{ steps: 3 }, { steps: 3, padding: 'x'.repeat(200_000) }]) {
      const { id } = await created(client, params);
      const answer = await read(client, id);
      expect(answer.status).toBe(200);
      expect(await answer.json()).toEqual(diagnosticsRun.params.parse(params));
    }
  });

  it('knows no job of another tenant', async () => {
    const { id } = await created(await newClient());
    expect((await problemOf(await read(await newClient(), id))).code).toBe('not_found');
  });
});
