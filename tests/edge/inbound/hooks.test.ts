/** From a signed delivery to the end of its run, in the real objects; workers are played. */
import { evictDurableObject, runDurableObjectAlarm } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import { signatureHeaders } from '../../../edge/webhooks/signer.ts';
import type { InboundDelivery } from '../../../shared/contracts/inbound.ts';
import { logLineSchema } from '../../../shared/contracts/log-line.ts';
import type { RunView } from '../../../shared/contracts/run.ts';
import { SCOPES } from '../../../shared/contracts/scope.ts';
import { until } from '../../support/until.ts';
import { type Client, newClient, problemOf, send } from '../support/client.ts';
import { completeJob, failJob } from '../support/finished-job.ts';

const SHA = '575db8b7a51b6f85eb06eee540738584589f131c';
const SECRET = 'a secret of the test';
const step = (id: string, more: Record<string, unknown> = {}) => ({
  id,
  type: 'diagnostics.run',
  params: { steps: 1 },
  ...more,
});
const CHAIN = [
  step('first', { params: { padding: { from: 'event.revision' } } }),
  step('second', { params: { steps: { from: 'steps.first.result.steps' } } }),
  step('alone'),
];
const result = (steps: number) => ({ steps, padding_length: 0, artefact_digests: [] });

async function hookOf(client: Client, steps: unknown[] = CHAIN, more: Record<string, unknown> = {}) {
  const recipe = await client.call('POST', '/v1/recipes', { body: { name: 'r', steps } });
  if (recipe.status !== 201) {
    throw new Error(await recipe.text());
  }
  const { id } = await recipe.json<{ id: string }>();
  const made = await client.call('POST', '/v1/inbound-hooks', {
    body: { name: 'h', provider: 'github', recipe: id, repositories: ['octo/model'], secret: SECRET, ...more },
  });
  if (made.status !== 201) {
    throw new Error(await made.text());
  }
  return { recipe: id, ...(await made.json<{ id: string; path: string; secret: string }>()) };
}

async function deliver(
  path: string,
  more: { body?: Record<string, unknown>; raw?: string; secret?: string; headers?: Record<string, string> } = {},
): Promise<Response> {
  const push = {
    ref: 'refs/heads/main',
    before: '0'.repeat(40),
    after: SHA,
    repository: { full_name: 'octo/model' },
    ...more.body,
  };
  const text = more.raw ?? JSON.stringify(push);
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', new TextEncoder().encode(more.secret ?? SECRET), algorithm, false, [
    'sign',
  ]);
  const mac = new Uint8Array(await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(text)));
  const signature = Array.from(mac, (b) => b.toString(16).padStart(2, '0')).join('');
  return send(
    'POST',
    path,
    { body: text },
    {
      'content-type': 'application/json',
      'x-github-event': 'push',
      'x-github-delivery': crypto.randomUUID(),
      'x-hub-signature-256': `sha256=${signature}`,
      ...more.headers,
    },
  );
}

const list = async <T>(client: Client, path: string): Promise<T[]> =>
  (await (await client.call('GET', path)).json<{ data: T[] }>()).data;
const deliveries = (client: Client, hook: string) =>
  list<InboundDelivery>(client, `/v1/inbound-hooks/${hook}/deliveries?limit=100`);
const runOf = async (client: Client, id: string) => (await client.call('GET', `/v1/runs/${id}`)).json<RunView>();

/** The run of the hook's only push, once it has begun. */
async function begun(client: Client, hook: string): Promise<RunView> {
  let run: string | null = null as string | null;
  await until(async () => {
    run = (await deliveries(client, hook)).find((one) => one.run)?.run ?? null;
    return run !== null;
  }, 'a run');
  await until(
    async () =>
      (await runOf(client, run ?? '')).steps.some(({ jobs }) => jobs.some(({ status }) => status === 'queued')),
    'a job',
  );
  return runOf(client, run ?? '');
}
const job = (run: RunView, id: string, n = 0): string => run.steps.find((one) => one.id === id)?.jobs[n]?.id ?? '';
const reached = async (client: Client, run: string, is: (view: RunView) => boolean): Promise<RunView> => {
  await until(async () => is(await runOf(client, run)), 'the run to get there').catch(async (error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(await runOf(client, run))}`);
  });
  return runOf(client, run);
};

/** Takes the run's object out of memory, where it is not out already. */
const evict = (run: string) => evictDurableObject(env.RUN.getByName(run)).catch(() => {});

describe('a push', () => {
  it('starts the recipe: results go from step to step, and the run ends with its last job', async () => {
    const client = await newClient();
    const hook = await hookOf(client);
    const answer = await deliver(hook.path);
    expect(answer.status).toBe(202);
    expect(await answer.json()).toMatchObject({ outcome: 'accepted', error: null });
    const run = await begun(client, hook.id);
    expect(run.steps.map(({ id, status }) => [id, status])).toEqual([
      ['first', 'running'],
      ['second', 'waiting'],
      ['alone', 'running'],
    ]);
    await completeJob(job(run, 'first'), result(3));
    const next = await reached(client, run.id, (view) => view.steps[1]?.jobs[0]?.status === 'queued');
    await completeJob(job(next, 'second'), result(3));
    await completeJob(job(next, 'alone'), result(1));
    const ended = await reached(client, run.id, (view) => view.status === 'succeeded');
    expect(ended).toMatchObject({
      hook: hook.id,
      recipe: hook.recipe,
      version: 1,
      event: { revision: SHA, previous_revision: null },
    });
    expect((await list<{ id: string; status: string }>(client, '/v1/runs'))[0]).toMatchObject({
      id: run.id,
      status: 'succeeded',
    });
    const events = await (await client.call('GET', `/v1/runs/${run.id}/events`)).text();
    expect(events.match(/event: status/g)).toHaveLength(2);
    expect(events).toContain('"step":"second","status":"succeeded"');
  });

  it("carries the sender's trace through run and job", async () => {
    const client = await newClient();
    const hook = await hookOf(client, [step('only')]);
    const trace = 'a1'.repeat(16);
    await deliver(hook.path, { headers: { traceparent: `00-${trace}-${'b2'.repeat(8)}-01` } });
    const run = await begun(client, hook.id);
    const view = await (await client.call('GET', `/v1/jobs/${job(run, 'only')}`)).json();
    expect(view).toMatchObject({ trace_id: trace });
  });

  it('is one run, however often it is delivered, and another one by a new version or a replay', async () => {
    const client = await newClient();
    const hook = await hookOf(client, [step('only')]);
    const answers = await Promise.all(Array.from({ length: 50 }, () => deliver(hook.path)));
    expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(202));
    await until(
      async () => (await deliveries(client, hook.id)).every(({ run }) => run),
      'all deliveries to be settled',
    );
    const seen = await deliveries(client, hook.id);
    expect(seen).toHaveLength(50);
    expect(new Set(seen.map(({ run }) => run)).size).toBe(1);
    await until(async () => (await list(client, '/v1/runs')).length > 0, 'the index');
    expect(await list(client, '/v1/runs')).toHaveLength(1);
    expect((await begun(client, hook.id)).steps[0]?.jobs).toHaveLength(1);

    const replayed = await client.call('POST', `/v1/inbound-hooks/${hook.id}/deliveries/${seen[0]?.id}/replay`);
    expect(replayed.status).toBe(202);
    await until(async () => (await list(client, '/v1/runs')).length === 2, 'the replay');
    await client.call('POST', `/v1/recipes/${hook.recipe}/versions`, { body: { steps: [step('only'), step('more')] } });
    await deliver(hook.path);
    await until(async () => (await list(client, '/v1/runs')).length === 3, 'three runs');
    const runs = await list<RunView>(client, '/v1/runs');
    expect(runs.map(({ version, replay }) => [version, replay !== null]).sort()).toEqual([
      [1, false],
      [1, true],
      [2, false],
    ]);
  });

  it('goes on where its object was evicted, with no job lost or doubled', async () => {
    const client = await newClient();
    const hook = await hookOf(client, [
      step('fan', { over: [1, 2, 3], params: { seed: { from: 'item' } } }),
      step('last', { needs: ['fan'] }),
    ]);
    await deliver(hook.path);
    const run = await begun(client, hook.id);
    await evict(run.id);
    await runDurableObjectAlarm(env.RUN.getByName(run.id));
    const fanned = await reached(
      client,
      run.id,
      (view) => view.steps[0]?.jobs.every(({ status }) => status === 'queued') === true,
    );
    for (const n of [2, 0, 1]) {
      await completeJob(job(fanned, 'fan', n), result(n));
      await evict(run.id);
    }
    const next = await reached(client, run.id, (view) => view.steps[1]?.jobs[0]?.status === 'queued');
    expect(next.steps[0]?.jobs).toHaveLength(3);
    await completeJob(job(next, 'last'), result(1));
    await reached(client, run.id, (view) => view.status === 'succeeded');
    expect(await list(client, '/v1/jobs')).toHaveLength(4);
  });

  it('skips what hangs on a failed step, and keeps the rest', async () => {
    const client = await newClient();
    const hook = await hookOf(client);
    await deliver(hook.path);
    const run = await begun(client, hook.id);
    await failJob(job(run, 'first'));
    await completeJob(job(run, 'alone'), result(1));
    const ended = await reached(client, run.id, (view) => view.status !== 'running');
    expect(ended.status).toBe('failed');
    expect(ended.steps.map(({ status, error }) => [status, error?.code ?? null])).toEqual([
      ['failed', 'data_invalid'],
      ['skipped', 'step_skipped'],
      ['succeeded', null],
    ]);
  });

  it('fails the step whose value is not there when it is its turn', async () => {
    const client = await newClient();
    const hook = await hookOf(client, [
      step('first'),
      step('last', { params: { padding: { from: 'steps.first.result.artefact_digests.7' } } }),
    ]);
    await deliver(hook.path);
    const run = await begun(client, hook.id);
    await completeJob(job(run, 'first'), result(1));
    const ended = await reached(client, run.id, (view) => view.status === 'failed');
    expect(ended.steps[1]).toMatchObject({ status: 'failed', error: { code: 'reference_unresolved' }, jobs: [] });
  });

  it('is canceled with its jobs, by its tenant alone', async () => {
    const client = await newClient();
    const hook = await hookOf(client);
    await deliver(hook.path);
    const run = await begun(client, hook.id);
    const other = await newClient();
    expect((await other.call('GET', `/v1/runs/${run.id}`)).status).toBe(404);
    expect((await other.call('POST', `/v1/runs/${run.id}/cancel`)).status).toBe(404);
    expect((await other.call('GET', `/v1/inbound-hooks/${hook.id}/deliveries`)).status).toBe(404);
    const canceled = await (await client.call('POST', `/v1/runs/${run.id}/cancel`)).json<RunView>();
    expect(canceled.status).toBe('canceled');
    const jobs = await list<{ status: string }>(client, '/v1/jobs');
    expect(jobs.map(({ status }) => status)).toEqual(['canceled', 'canceled']);
  });

  it('stops when the key that it acts with is revoked', async () => {
    const admin = await newClient();
    const made = await admin.call('POST', '/v1/keys', { body: { name: 'k', scopes: SCOPES } });
    const { id: keyId, key } = await made.json<{ id: string; key: string }>();
    const client: Client = {
      ...admin,
      key,
      keyId,
      call: (method, path, init = {}) => send(method, path, init, { authorization: `Bearer ${key}` }),
    };
    const hook = await hookOf(client);
    await deliver(hook.path);
    const run = await begun(admin, hook.id);
    await admin.call('DELETE', `/v1/keys/${keyId}`);
    await completeJob(job(run, 'first'), result(1));
    const ended = await reached(admin, run.id, (view) => view.status === 'failed');
    expect(ended.error?.code).toBe('key_revoked');
    await until(
      async () => (await list<{ status: string }>(admin, '/v1/jobs')).every(({ status }) => status !== 'queued'),
      'its jobs to end',
    );
    await deliver(hook.path, { body: { after: 'b'.repeat(40) } });
    await until(async () => (await deliveries(admin, hook.id))[0]?.code === 'key_revoked', 'the refusal');
  });
});

describe('a delivery that starts nothing', () => {
  it('is refused with a typed error, and on record with the reason', async () => {
    const client = await newClient();
    const hook = await hookOf(client);
    const cases: [Promise<Response>, number, string][] = [
      [deliver(hook.path, { secret: 'not the secret' }), 401, 'signature_invalid'],
      [deliver(hook.path, { raw: '{"ref":' }), 400, 'body_malformed'],
      [deliver(hook.path, { raw: '{"event":{"action":"update","scope":"repo.content"}}' }), 422, 'validation_failed'],
      [deliver(hook.path, { raw: ' '.repeat(1024 * 1024 + 1) }), 413, 'body_too_large'],
    ];
    for (const [answer, status, code] of cases) {
      expect((await answer).status).toBe(status);
      expect((await problemOf(await answer)).code).toBe(code);
    }
    const seen = await deliveries(client, hook.id);
    expect(seen.map(({ code }) => code).sort()).toEqual([
      'body_malformed',
      'body_too_large',
      'signature_invalid',
      'validation_failed',
    ]);
    expect(seen.every(({ outcome, detail }) => outcome === 'refused' && detail)).toBe(true);
    expect((await client.call('POST', `/v1/inbound-hooks/${hook.id}/deliveries/${seen[0]?.id}/replay`)).status).toBe(
      409,
    );
  });

  it('is answered 202 where it is genuine, so that no provider suspends the hook', async () => {
    const client = await newClient();
    const hook = await hookOf(client);
    const dev = await deliver(hook.path, { body: { ref: 'refs/heads/dev' } });
    expect([dev.status, await dev.json()]).toMatchObject([202, { outcome: 'ignored', error: { code: 'ref_unknown' } }]);
    const other = await deliver(hook.path, { body: { repository: { full_name: 'octo/other' } } });
    expect([other.status, await other.json()]).toMatchObject([
      202,
      { outcome: 'ignored', error: { code: 'repository_unknown' } },
    ]);
    const release = await deliver(hook.path, {
      raw: JSON.stringify({
        action: 'published',
        release: { tag_name: 'v1' },
        repository: { full_name: 'octo/model' },
      }),
      headers: { 'x-github-event': 'release' },
    });
    expect(release.status).toBe(202);
    await until(
      async () => (await deliveries(client, hook.id))[0]?.code === 'event_incomplete',
      'the release to be refused',
    );
    expect(await list(client, '/v1/runs')).toEqual([]);
  });

  it('comes to a hook that is disabled, deleted, or of another provider', async () => {
    const client = await newClient();
    const hook = await hookOf(client);
    expect((await deliver(hook.path.replace('github', 'huggingface'))).status).toBe(404);
    await client.call('PATCH', `/v1/inbound-hooks/${hook.id}`, { body: { disabled: true } });
    expect((await problemOf(await deliver(hook.path))).code).toBe('hook_disabled');
    await client.call('DELETE', `/v1/inbound-hooks/${hook.id}`);
    expect((await deliver(hook.path)).status).toBe(404);
    expect((await client.call('GET', `/v1/inbound-hooks/${hook.id}`)).status).toBe(404);
  });
});

describe('bad input', () => {
  /** Log lines of the hook's deliveries and runs while `act` goes on. */
  async function logged(act: () => Promise<unknown>): Promise<{ event: string; level: string; code?: string }[]> {
    const spies = (['log', 'warn', 'error'] as const).map((name) =>
      vi.spyOn(console, name).mockImplementation(() => {}),
    );
    try {
      await act();
      return spies.flatMap(({ mock }) => mock.calls.flatMap(([text]) => linesOf(String(text))));
    } finally {
      for (const spy of spies) {
        spy.mockRestore();
      }
    }
  }
  const linesOf = (text: string) => (text.startsWith('{') ? [logLineSchema.parse(JSON.parse(text))] : []) as never[];

  it.each<[string, string, (path: string) => Promise<Response>]>([
    ['a wrong signature', 'signature_invalid', (path) => deliver(path, { secret: 'not the secret' })],
    ['no signature', 'signature_invalid', (path) => deliver(path, { headers: { 'x-hub-signature-256': '' } })],
    ['broken JSON under a good signature', 'body_malformed', (path) => deliver(path, { raw: '{"ref":' })],
    ['a body of another provider', 'validation_failed', (path) => deliver(path, { raw: '{"event":{"scope":"repo"}}' })],
    ['more than a mebibyte', 'body_too_large', (path) => deliver(path, { raw: ' '.repeat(1024 * 1024 + 1) })],
    ['an unknown ref', 'ref_unknown', (path) => deliver(path, { body: { ref: 'refs/heads/dev' } })],
    [
      'an unknown repository',
      'repository_unknown',
      (path) => deliver(path, { body: { repository: { full_name: 'octo/other' } } }),
    ],
  ])('%s leaves a line in the log: %s', async (_, code, act) => {
    const client = await newClient();
    const hook = await hookOf(client);
    const lines = await logged(() => act(hook.path));
    const [seen] = await deliveries(client, hook.id);
    expect(seen?.code).toBe(code);
    expect(lines).toContainEqual(
      expect.objectContaining({
        event: 'request',
        code,
        tenant: client.tenant,
        delivery: seen?.id,
        trace_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      }),
    );
  });

  it.each([
    ['stale', -301],
    ['future', 301],
  ])('a %s signature leaves a line in the log', async (_, offset_s) => {
    const client = await newClient();
    const secret = `whsec_${btoa('0123456789abcdef0123456789abcdef')}`;
    const hook = await hookOf(client, [step('only')], { provider: 'standard_webhooks', secret, repositories: [] });
    const body = '{}';
    const signed = await signatureHeaders([secret], { id: 'msg_1', at: Date.now() + 1000 * offset_s, body });
    const headers = { 'content-type': 'application/json', ...signed };
    let answer: Response | undefined;
    const lines = await logged(async () => {
      answer = await send('POST', hook.path, { body }, headers);
    });
    expect(answer && (await problemOf(answer)).code).toBe('clock_skew');
    expect(lines).toContainEqual(expect.objectContaining({ event: 'request', level: 'warn', code: 'clock_skew' }));
  });

  it('fifty identical deliveries at once are one run', async () => {
    const client = await newClient();
    const hook = await hookOf(client, [step('only')]);
    const headers = { 'x-github-delivery': 'the same' };
    const answers = await Promise.all(Array.from({ length: 50 }, () => deliver(hook.path, { headers })));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    await until(async () => (await deliveries(client, hook.id)).every(({ run }) => run !== null), 'all to be matched');
    const seen = await deliveries(client, hook.id);
    expect(seen).toHaveLength(50);
    expect(new Set(seen.map(({ run }) => run)).size).toBe(1);
    await until(async () => (await list(client, '/v1/runs')).length > 0, 'the run to be listed');
    expect(await list(client, '/v1/runs')).toHaveLength(1);
  });

  it('a last step whose value is not there ends the run with a typed error and a line in the log', async () => {
    const client = await newClient();
    const last = step('last', { params: { padding: { from: 'steps.first.result.artefact_digests.7' } } });
    const hook = await hookOf(client, [step('first'), last]);
    await deliver(hook.path);
    const { id } = await begun(client, hook.id);
    const lines = await logged(async () => {
      await completeJob(job(await runOf(client, id), 'first'), result(1));
      await reached(client, id, ({ status }) => status === 'failed');
    });
    expect((await runOf(client, id)).error?.code).toBe('reference_unresolved');
    expect(lines).toContainEqual(
      expect.objectContaining({ event: 'run failed', run: id, code: 'reference_unresolved', tenant: client.tenant }),
    );
  });
});

describe('secrets', () => {
  it('are shown once, rotated with two live ones, and lie sealed in the database', async () => {
    const client = await newClient();
    const hook = await hookOf(client);
    expect(hook.secret).toBe(SECRET);
    expect(await (await client.call('GET', `/v1/inbound-hooks/${hook.id}`)).text()).not.toContain(SECRET);
    const rotated = await client.call('POST', `/v1/inbound-hooks/${hook.id}/secret/rotate`, {
      body: { secret: 'another secret of it' },
    });
    expect((await rotated.json<{ secrets: unknown[] }>()).secrets).toHaveLength(2);
    expect((await deliver(hook.path)).status).toBe(202);
    expect((await deliver(hook.path, { secret: 'another secret of it' })).status).toBe(202);
    await client.call('POST', `/v1/inbound-hooks/${hook.id}/secret/rotate`, {
      body: { secret: 'a third secret of it', overlap_s: 0 },
    });
    expect((await deliver(hook.path)).status).toBe(401);
    const { results } = await env.DB.prepare('SELECT secrets FROM inbound_hooks WHERE id = ?').bind(hook.id).all();
    expect(JSON.stringify(results)).not.toContain('secret of');
  });
});

describe('scopes', () => {
  it('of every step are needed to store a recipe and to bind a hook to it', async () => {
    const client = await newClient();
    const { recipe } = await hookOf(client);
    const weak = await newClient({ tenant: client.tenant, scopes: ['recipes:write', 'webhooks:admin'] });
    const stored = await weak.call('POST', '/v1/recipes', { body: { name: 'r', steps: CHAIN } });
    expect((await problemOf(stored)).code).toBe('scope_missing');
    const bound = await weak.call('POST', '/v1/inbound-hooks', { body: { name: 'h', provider: 'github', recipe } });
    expect((await problemOf(bound)).code).toBe('scope_missing');
  });
});

describe('a dry run', () => {
  it('tells the jobs, their parameters and estimates, and starts none', async () => {
    const client = await newClient();
    const hook = await hookOf(client);
    const payload = {
      ref: 'refs/heads/main',
      before: '0'.repeat(40),
      after: SHA,
      repository: { full_name: 'octo/model' },
    };
    const of = (body: Record<string, unknown>) => client.call('POST', `/v1/recipes/${hook.recipe}/dry-runs`, { body });
    const told = await (await of({ hook: hook.id, headers: { 'X-GitHub-Event': 'push' }, payload })).json<{
      jobs: { params: unknown; estimate: unknown }[];
    }>();
    expect(told).toMatchObject({
      ignored: null,
      event: { revision: SHA },
      jobs: [
        { step: 'first', params: { padding: SHA }, estimate: { device_seconds: expect.any(Number) } },
        { step: 'second', params: { steps: { from: 'steps.first.result.steps' } }, estimate: null, needs: ['first'] },
        { step: 'alone' },
      ],
    });
    const ignored = await of({
      hook: hook.id,
      headers: { 'X-GitHub-Event': 'push' },
      payload: { ...payload, ref: 'refs/heads/dev' },
    });
    expect(await ignored.json()).toMatchObject({ ignored: { code: 'ref_unknown' }, jobs: [] });
    expect(await list(client, '/v1/runs')).toEqual([]);
    expect(await list(client, '/v1/jobs')).toEqual([]);
  });
});
