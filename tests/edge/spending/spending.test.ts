/** Device seconds per key and per tenant and day: reserved when a job's turn comes, charged while it runs, settled at its end. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { unwrap } from '../../../edge/jobs/answer.ts';
import { ledgerOf } from '../../../edge/jobs/ledger-of.ts';
import type { JobState } from '../../../edge/jobs/state.ts';
import { accountOf, type Today } from '../../../edge/spending/account.ts';
import type { Job } from '../../../shared/contracts/job.ts';
import { until } from '../../support/until.ts';
import { type Client, newClient, problemOf } from '../support/client.ts';
import { claimJob } from '../support/finished-job.ts';

let posts = 0;
async function post(client: Client, more: Record<string, unknown> = {}, params: Record<string, unknown> = {}) {
  const body = { type: 'diagnostics.run', params: { steps: 100, step_ms: 100, ...params }, ...more };
  posts += 1;
  const answer = await client.call('POST', '/v1/jobs', { body, headers: { 'idempotency-key': `post-${posts}` } });
  return (await answer.json<Job>()).id;
}
/** What each job's dispatches were at the last look: the ledger keeps no order of them. */
const looked = new Map<string, string[]>();
/** The job's newest dispatch. */
async function dispatchOf(id: string): Promise<string> {
  const issued = await runInDurableObject(env.LEDGER.getByName(id), (_, { storage }) =>
    storage.sql.exec<{ id: string }>('SELECT id FROM dispatches').toArray(),
  );
  const before = looked.get(id) ?? [];
  const added = issued.map((row) => row.id).filter((dispatch) => !before.includes(dispatch));
  expect(added.length).toBeLessThanOrEqual(1);
  looked.set(id, [...before, ...added]);
  return added[0] ?? before.at(-1) ?? '';
}
const turn = async (id: string) => ledgerOf(env, id).dispatch(await dispatchOf(id));
const change = async (id: string, to: (state: JobState) => Partial<JobState>) => {
  const ledger = env.LEDGER.getByName(id);
  await runInDurableObject(ledger, (_, { storage }) => {
    const state = JSON.parse(String(storage.sql.exec('SELECT state FROM job').one().state)) as JobState;
    storage.sql.exec('UPDATE job SET state = ?', JSON.stringify({ ...state, ...to(state) }));
  });
  // it learns by beginning anew what was changed behind its back
  await evictDurableObject(ledger);
};
/** As if the attempt had begun so many seconds earlier. */
const age = (id: string, seconds: number) =>
  change(id, ({ attempt }) => ({
    attempt: attempt && { ...attempt, started_at: attempt.started_at - 1000 * seconds },
  }));
const read = async (client: Client, id: string) => (await client.call('GET', `/v1/jobs/${id}`)).json<Job>();
const today = async (client: Client) => (await (await client.call('GET', '/v1/usage')).json<{ today: Today }>()).today;

/** A client whose tenant may take so many device seconds a day. */
async function capped(tenantCap: number | null, keyCap?: number): Promise<Client> {
  const client = await newClient(keyCap === undefined ? {} : { limits: { device_seconds_per_day: keyCap } });
  if (tenantCap !== null) {
    const operator = await newClient({ scopes: ['operator'] });
    const body = { device_seconds_per_day: tenantCap };
    expect((await operator.call('PUT', `/v1/spending-caps/${client.tenant}`, { body })).status).toBe(200);
  }
  return client;
}

describe('a cap on device seconds', () => {
  it('is reserved at the dispatch, charged by heartbeat and settled at the end', async () => {
    const client = await capped(100);
    const id = await post(client);
    expect(await turn(id)).toBe(true);
    // 100 steps of 100 ms and 0.2 s beside
    expect(await today(client)).toMatchObject({ charged: 0, reserved: 10.2, cap: 100 });
    const by = await claimJob(id);
    await age(id, 4);
    expect(unwrap(await ledgerOf(env, id).heartbeat(by, null))).toMatchObject({ cancel: false, spent: false });
    const running = await today(client);
    expect(running.charged).toBeGreaterThanOrEqual(4);
    expect(running.charged).toBeLessThan(9);
    expect(running.reserved).toBeCloseTo(10.2 - running.charged, 6);
    unwrap(await ledgerOf(env, id).fail(by, { code: 'data_invalid', detail: 'x' }, { retryable: false }));
    await until(async () => (await today(client)).reserved === 0, 'the end to be settled');
    const job = await read(client, id);
    const settled = await today(client);
    expect(settled.charged).toBeCloseTo(job.cost.actual ?? Number.NaN, 6);
    expect(settled.keys).toEqual([{ key: client.keyId, charged: settled.charged, reserved: 0, cap: null }]);
    // a late word of the job charges nothing
    const account = accountOf(env, client.tenant);
    await account.charge({ tenant: client.tenant, key: client.keyId, job: id }, 1e6);
    await account.settle({ tenant: client.tenant, key: client.keyId, job: id }, 1e6);
    expect((await today(client)).charged).toBe(settled.charged);
  });

  it('keeps what others have reserved: a job waits until they leave some, and fails where the day is used up', async () => {
    const client = await capped(12);
    const [first, second] = [await post(client), await post(client)];
    expect(await turn(first)).toBe(true);
    // 1.8 s are left: the second starts with those, the third has to wait
    expect(await turn(second)).toBe(true);
    const third = await post(client);
    expect(await turn(third)).toBe(false);
    expect((await read(client, third)).status).toBe('queued');
    await change(third, ({ dispatch }) => ({ dispatch: { ...dispatch, next_send_at: 0 } }));
    await client.call('POST', `/v1/jobs/${second}/cancel`);
    await until(async () => (await today(client)).reserved < 11, 'the reservation to be free');
    await runDurableObjectAlarm(env.LEDGER.getByName(third));
    expect(await turn(third)).toBe(true);

    const by = await claimJob(first);
    await age(first, 20);
    expect(unwrap(await ledgerOf(env, first).heartbeat(by, null))).toMatchObject({ spent: true });
    const fourth = await post(client);
    expect(await turn(fourth)).toBe(false);
    expect(await read(client, fourth)).toMatchObject({ status: 'failed', error: { code: 'spending_cap' } });
  });

  it("holds for one key beside the tenant's, and a key hands out no more than it has", async () => {
    const client = await capped(1000, 5);
    const id = await post(client);
    expect(await turn(id)).toBe(true);
    expect(await today(client)).toMatchObject({ reserved: 5, cap: 1000, keys: [{ reserved: 5, cap: 5 }] });
    const made = async (body: Record<string, unknown>) =>
      (await client.call('POST', '/v1/keys', { body: { name: 'k', scopes: ['jobs:read'], ...body } })).json();
    expect(await made({})).toMatchObject({ device_seconds_per_day: 5 });
    expect(await made({ device_seconds_per_day: 9 })).toMatchObject({ device_seconds_per_day: 5 });
    expect(await made({ device_seconds_per_day: 2 })).toMatchObject({ device_seconds_per_day: 2 });
  });

  it('is set by the operator alone, on record in the log of the tenant', async () => {
    const client = await capped(7);
    const rows = await (await client.call('GET', '/v1/audit?action=spending_cap.set')).json<{ data: unknown[] }>();
    expect(rows.data).toMatchObject([{ target: client.tenant, outcome: 'done' }]);
    const other = await newClient({ scopes: ['usage:read'] });
    const body = { device_seconds_per_day: null };
    const refused = await other.call('PUT', `/v1/spending-caps/${client.tenant}`, { body });
    expect((await problemOf(refused)).code).toBe('scope_missing');
  });
});

describe('a job that a cap stopped', () => {
  it('is resumed as a new job, once, with its checkpoint', async () => {
    const client = await newClient();
    const id = await post(client, { max_cost: 11, labels: { a: 'b' } });
    expect(await turn(id)).toBe(true);
    const by = await claimJob(id);
    unwrap(await ledgerOf(env, id).checkpoint(by, { state: { step: 42 }, blobs: [] }));
    await age(id, 12);
    expect(unwrap(await ledgerOf(env, id).heartbeat(by, null))).toMatchObject({ cancel: false, spent: true });
    expect((await problemOf(await client.call('POST', `/v1/jobs/${id}/resume`, { body: {} }))).code).toBe('conflict');
    unwrap(await ledgerOf(env, id).fail(by, { code: 'spending_cap', detail: 'reached' }, { retryable: false }));

    const other = await newClient();
    expect((await other.call('POST', `/v1/jobs/${id}/resume`, { body: {} })).status).toBe(404);
    const answers = [
      await client.call('POST', `/v1/jobs/${id}/resume`, { body: {} }),
      await client.call('POST', `/v1/jobs/${id}/resume`, { body: { max_cost: 20 } }),
    ];
    const [job, again] = (await Promise.all(answers.map((answer) => answer.json<Job>()))) as [Job, Job];
    expect(answers.map(({ status }) => status)).toEqual([202, 202]);
    expect(again.id).toBe(job.id);
    const old = await read(client, id);
    expect(job).toMatchObject({
      resumed_from: id,
      status: 'queued',
      labels: { a: 'b' },
      input_digest: old.input_digest,
      cost: { estimate: old.cost.estimate },
    });
    const [dispatch] = [await dispatchOf(job.id)];
    const claimed = unwrap(await ledgerOf(env, job.id).claim(by.worker, dispatch));
    expect(claimed.checkpoint).toEqual({ state: { step: 42 }, blobs: [] });
  });

  it('keeps the blobs of its checkpoint until another has taken them over', async () => {
    const client = await newClient();
    const id = await post(client);
    const by = await claimJob(id);
    const blob = { name: 'part', sha256: 'c'.repeat(64), bytes: 3, media_type: 'application/octet-stream' };
    unwrap(await ledgerOf(env, id).checkpoint(by, { state: {}, blobs: [blob] }));
    unwrap(await ledgerOf(env, id).fail(by, { code: 'spending_cap', detail: 'reached' }, { retryable: false }));
    const holders = async () =>
      (
        await env.DB.prepare('SELECT holder FROM blob_uses WHERE tenant = ?')
          .bind(client.tenant)
          .all<{ holder: string }>()
      ).results.map(({ holder }) => holder);
    expect(await holders()).toEqual([id]);
    const { id: next } = await (await client.call('POST', `/v1/jobs/${id}/resume`, { body: {} })).json<Job>();
    await until(async () => (await holders()).join() === next, 'the blobs to be taken over');
    await client.call('POST', `/v1/jobs/${next}/cancel`);
    await until(async () => (await holders()).length === 0, 'the blobs to be free');
  });
});
