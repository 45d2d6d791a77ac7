import { expect, it } from 'vitest';
import { until } from '../../support/until.ts';
import { newClient, problemOf } from '../support/client.ts';
import { completeJob } from '../support/finished-job.ts';

it('counts what jobs took, by day and key, once each, for their tenant alone', async () => {
  const client = await newClient();
  const ids: string[] = [];
  for (const key of ['a', 'b']) {
    const body = { type: 'diagnostics.run', params: {} };
    const answer = await client.call('POST', '/v1/jobs', { body, headers: { 'idempotency-key': key } });
    ids.push((await answer.json<{ id: string }>()).id);
  }
  for (const id of ids) {
    await completeJob(id, { steps: 1, padding_length: 0, artefact_digests: [] });
  }
  const usage = async (of: typeof client) =>
    (await (await of.call('GET', '/v1/usage')).json<{ data: { day: string; key: string; jobs: number }[] }>()).data;
  await until(async () => (await usage(client))[0]?.jobs === 2, 'both to be counted');
  expect(await usage(client)).toMatchObject([
    { day: new Date().toISOString().slice(0, 10), key: client.keyId, jobs: 2 },
  ]);
  await client.call('DELETE', `/v1/jobs/${ids[0]}`);
  expect((await usage(client))[0]?.jobs).toBe(2);
  expect(await usage(await newClient())).toEqual([]);
});

it("shows the pools to the operator's keys alone", async () => {
  const operator = await newClient({ scopes: ['operator'] });
  const text = await (await operator.call('GET', '/v1/metrics')).text();
  expect(text).toMatch(/^sextant_jobs_waiting\{pool="default",lane="batch"\} \d+$/m);
  expect(text).toMatch(/^# TYPE sextant_oldest_wait_seconds gauge$/m);
  const pool = await (await operator.call('GET', '/v1/pools/default')).json<Record<string, number>>();
  expect(pool.jobs).toBe(pool.waiting! + pool.running!);
  expect((await problemOf(await operator.call('GET', '/v1/pools/nowhere'))).code).toBe('not_found');
  const other = await newClient({ scopes: ['jobs:read'] });
  expect((await problemOf(await other.call('GET', '/v1/pools/default'))).code).toBe('scope_missing');
  expect((await problemOf(await other.call('GET', '/v1/metrics'))).code).toBe('scope_missing');
});
