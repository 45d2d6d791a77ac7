import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { readAudit } from '../../../edge/audit/log.ts';
import { admit } from '../../../edge/jobs/admission.ts';
import { checkKey } from '../../../edge/keys/registry.ts';
import { newClient, problemOf } from '../support/client.ts';
import { plantVector } from '../support/vector.ts';

const steered = (vector: unknown) => ({
  type: 'lm.generate',
  params: {
    model: { local: 'm' },
    prompts: ['a'],
    runs: [{ label: 'steered', vectors: [{ vector, strength: 1, mode: 'proj_unit' }] }],
  },
});
const study = (params: Record<string, unknown> = {}) => ({
  type: 'refusal.study',
  params: {
    model: { local: 'm' },
    harmful: { texts: ['a'] },
    harmless: { texts: ['b'] },
    refusal_tokens: ['I'],
    ...params,
  },
});
const post = (client: Awaited<ReturnType<typeof newClient>>, body: unknown) =>
  client.call('POST', '/v1/jobs', { body, headers: { 'idempotency-key': crypto.randomUUID() } });

describe('a vector by name', () => {
  it('is the one that the name points to when the job is created', async () => {
    const client = await newClient({ scopes: ['jobs:write', 'jobs:read', 'vectors:write', 'vectors:read'] });
    const { id } = await plantVector(client.tenant);
    await client.call('PUT', '/v1/vector-names/reflect', { body: { id }, headers: { 'if-none-match': '*' } });
    const byName = await (await post(client, steered({ name: 'reflect' }))).json<{ input_digest: string }>();
    const byId = await (await post(client, steered(id))).json<{ input_digest: string }>();
    expect(byName.input_digest).toBe(byId.input_digest);
    const unknown = await problemOf(await post(client, steered({ name: 'nothing' })));
    expect(unknown).toMatchObject({
      code: 'input_not_found',
      errors: [{ pointer: '/params/runs/0/vectors/0/vector/name' }],
    });
  });
});

describe('a vector of refusal', () => {
  it('needs the scope of refusal in every job, by name too, and every use is on record', async () => {
    const without = await newClient({ scopes: ['jobs:write', 'vectors:write', 'vectors:read'] });
    const { id } = await plantVector(without.tenant, 16, 1, 'refusal.study');
    await without.call('PUT', '/v1/vector-names/no', { body: { id }, headers: { 'if-none-match': '*' } });
    for (const vector of [id, { name: 'no' }]) {
      const problem = await problemOf(await post(without, steered(vector)));
      expect(problem).toMatchObject({ code: 'scope_missing', detail: expect.stringContaining('directions:refusal') });
    }
    const scopes = ['jobs:write', 'directions:refusal'] as const;
    const client = await newClient({ tenant: without.tenant, scopes });
    const made = await (await post(client, steered(id))).json<{ id: string }>();
    const rows = await readAudit(env, { tenant: client.tenant, before: 1e15, limit: 1, action: null, actor: null });
    expect(rows).toMatchObject([{ action: 'refusal.use', target: made.id, actor: client.keyId }]);
  });
});

describe('refusal.study', () => {
  it('needs its own scope, and every use is on record', async () => {
    const without = await newClient({ scopes: ['jobs:write'] });
    expect((await problemOf(await post(without, study()))).code).toBe('scope_missing');
    const client = await newClient({ scopes: ['jobs:write', 'directions:refusal'] });
    const made = await (await post(client, study())).json<{ id: string }>();
    const rows = await readAudit(env, { tenant: client.tenant, before: 1e15, limit: 10, action: null, actor: null });
    expect(rows.map(({ action, target, actor }) => [action, target, actor])).toEqual([
      ['refusal.use', made.id, client.keyId],
    ]);
  });

  it('publishes an ablated model only where the operator allows it', async () => {
    const client = await newClient({ scopes: ['jobs:write', 'directions:refusal'] });
    const refused = await problemOf(await post(client, study({ publish_ablated: true })));
    expect(refused).toMatchObject({ code: 'validation_failed', errors: [{ code: 'not_permitted' }] });
    expect(refused.detail).toContain('ALLOW_ABLATED_MODELS');
    const key = (await checkKey(env, client.key, Date.now()))!;
    const allowed = { ...env, ALLOW_ABLATED_MODELS: '1' };
    expect((await admit(allowed, key, study({ publish_ablated: true }))).contract.type).toBe('refusal.study');
  });
});
