import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { fingerprintOf, idempotencyOf } from '../../../edge/idempotency/keys.ts';
import { createOnce } from '../../../edge/jobs/creation.ts';
import { ledgerOf } from '../../../edge/jobs/ledger-of.ts';
import type { AccessKey } from '../../../edge/keys/access-key.ts';
import { SCOPES } from '../../../shared/contracts/scope.ts';
import { canonicalJson, sha256Hex } from '../../../shared/signing/digest.ts';
import { newTraceparent } from '../../../shared/signing/traceparent.ts';

const key: AccessKey = {
  id: 'key_x',
  tenant: 'tenant-idempotency',
  scopes: new Set(SCOPES),
  limits: { reads: 1, writes: 1, jobs: 1 },
  device_seconds_per_day: null,
  expiresAt: Number.POSITIVE_INFINITY,
};
const raw = (steps: number) =>
  new TextEncoder().encode(JSON.stringify({ type: 'diagnostics.run', params: { steps } })) as Uint8Array<ArrayBuffer>;
const request = (idempotencyKey: string, steps = 1) => ({
  idempotencyKey,
  path: '/v1/jobs',
  required: true,
  raw: raw(steps),
  body: JSON.parse(new TextDecoder().decode(raw(steps))),
  request_id: 'test',
  trace: newTraceparent(),
});

/** Changes what is remembered of a key. */
async function change(idempotencyKey: string, to: Record<string, unknown>): Promise<void> {
  const name = await sha256Hex(canonicalJson([key.tenant, idempotencyKey]));
  const stub = env.IDEMPOTENCY.getByName(canonicalJson([key.tenant, name.slice(0, 1)]));
  await runInDurableObject(stub, async (_, state) => {
    const entry = (await state.storage.get<Record<string, unknown>>(`entry:${name}`)) ?? {};
    await state.storage.put(`entry:${name}`, { ...entry, ...to });
  });
}
/** As if the first request had broken off long ago. */
const age = (idempotencyKey: string) => change(idempotencyKey, { held_at: 0, answer: null });

describe('a request that broke off', () => {
  it('before the job stood is carried out by its repeat, under the same id', async () => {
    const memory = await idempotencyOf(env, key.tenant, 'broke-early');
    const fingerprint = await fingerprintOf({ method: 'POST', path: '/v1/jobs' }, key.tenant, raw(1));
    const first = await memory.begin(fingerprint, `job_${'a'.repeat(26)}`);
    await expect(createOnce(env, key, request('broke-early'))).rejects.toMatchObject({ code: 'idempotency_in_flight' });
    await age('broke-early');
    const again = await createOnce(env, key, request('broke-early'));
    expect(again).toEqual({ id: first.state === 'new' ? first.id : '', replayed: false });
    expect((await ledgerOf(env, again.id).view(key.tenant))?.status).toBe('queued');
  });

  it('is waited for while it works, and no longer', async () => {
    const memory = await idempotencyOf(env, key.tenant, 'held');
    const begin = async () => (await memory.begin('f'.repeat(64), `job_${'b'.repeat(26)}`)).state;
    const aged = (ms: number) => change('held', { held_at: Date.now() - ms });
    expect([await begin(), await begin()]).toEqual(['new', 'in_flight']);
    await aged(4500);
    await memory.hold();
    expect(await begin()).toBe('in_flight');
    await aged(4500);
    expect(await begin()).toBe('new');
    await memory.release();
    expect(await begin()).toBe('new');
    await memory.finish({ status: 202, location: '/v1/jobs/x' });
    await memory.release();
    expect(await begin()).toBe('answered');
  });

  it('after the job stood is answered with that job', async () => {
    const first = await createOnce(env, key, request('broke-late'));
    await age('broke-late');
    expect(await createOnce(env, key, request('broke-late'))).toEqual({ id: first.id, replayed: true });
  });
});

it('forgets a key a day after its request, and no other', async () => {
  const names = Array.from({ length: 40 }, (_, i) => `day-${i}`);
  for (const name of names) {
    await (await idempotencyOf(env, key.tenant, name)).begin('f'.repeat(64), `job_${'c'.repeat(26)}`);
  }
  for (const name of names.slice(20)) {
    await change(name, { kept_until: 0 });
  }
  for (const share of '0123456789abcdef') {
    await runDurableObjectAlarm(env.IDEMPOTENCY.getByName(canonicalJson([key.tenant, share])));
  }
  const states = await Promise.all(
    names.map(async (name) => (await (await idempotencyOf(env, key.tenant, name)).begin('e'.repeat(64), 'x')).state),
  );
  expect(states).toEqual(names.map((_, i) => (i < 20 ? 'reused' : 'new')));
});

it('equal requests have equal fingerprints, others have not', async () => {
  const base = { method: 'POST', path: '/v1/jobs' };
  const of = (request: typeof base, tenant: string, body: Uint8Array<ArrayBuffer>) =>
    fingerprintOf(request, tenant, body);
  const same = await of(base, 't', raw(1));
  expect(await of({ ...base }, 't', raw(1))).toBe(same);
  for (const other of [
    await of({ ...base, method: 'PUT' }, 't', raw(1)),
    await of({ ...base, path: '/v1/job' }, 't', raw(1)),
    await of(base, 'u', raw(1)),
    await of(base, 't', raw(2)),
  ]) {
    expect(other).not.toBe(same);
  }
});
