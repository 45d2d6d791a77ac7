/** A real worker's job reaches its key's cap on device seconds, stops with its checkpoint, and is taken up by another key. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { INSERT_KEY, keyValues, mintKey } from '../../edge/keys/mint.ts';
import type { Job } from '../../shared/contracts/job.ts';
import { SCOPES } from '../../shared/contracts/scope.ts';
import { repositoryRoot } from '../support/guide.ts';
import { Stack } from './support/stack.ts';

const stack = new Stack();
beforeAll(() => stack.start(), 120_000);
afterAll(() => stack.stop());

it('stops after the step in hand, fails with spending_cap, and goes on from there once resumed', async () => {
  const limits = { device_seconds_per_day: 2 };
  const { text, row } = await mintKey({ tenant: 'e2e', name: 'capped', scopes: SCOPES, limits, now: Date.now() });
  await stack.edge.execute(INSERT_KEY, keyValues(row));
  await stack.startWorker();
  const answer = await stack.call('POST', '/v1/jobs', {
    body: { type: 'diagnostics.run', params: { steps: 40, step_ms: 150 } },
    headers: { authorization: `Bearer ${text}`, 'idempotency-key': 'capped' },
  });
  const { id } = (await answer.json()) as Job;
  const stopped = await stack.ended(id);
  expect(stopped).toMatchObject({ status: 'failed', attempt: 1, error: { code: 'spending_cap' } });
  expect(stopped.cost.actual).toBeGreaterThanOrEqual(2);

  const capped = await stack.call('POST', `/v1/jobs/${id}/resume`, {
    body: {},
    headers: { authorization: `Bearer ${text}` },
  });
  const poor = (await capped.json()) as Job;
  expect(await stack.ended(poor.id)).toMatchObject({ status: 'failed', attempt: 0, error: { code: 'spending_cap' } });

  const resumed = await stack.call('POST', `/v1/jobs/${poor.id}/resume`, { body: {} });
  const job = await stack.ended(((await resumed.json()) as Job).id);
  expect(job).toMatchObject({ status: 'succeeded', resumed_from: poor.id });
  expect(job.metrics?.steps_resumed).toBeGreaterThan(0);
  expect(job.metrics?.steps_resumed).toBeLessThan(40);
}, 90_000);

it('leaves an audit log whose chain the command verifies over HTTP, and finds broken once a row was changed', async () => {
  const { text, row } = await mintKey({ tenant: 'audited', name: 'audited', scopes: SCOPES, now: Date.now() });
  await stack.edge.execute(INSERT_KEY, keyValues(row));
  const headers = { authorization: `Bearer ${text}` };
  for (let i = 0; i < 120; i += 1) {
    const body = { device_seconds_per_day: i };
    expect((await stack.call('PUT', '/v1/spending-caps/audited', { body, headers })).ok).toBe(true);
  }
  const verify = () =>
    spawnSync(process.execPath, [join(repositoryRoot, 'infra/operator/verify-audit.ts'), stack.edge.url], {
      encoding: 'utf8',
      env: { ...process.env, SEXTANT_API_KEY: text },
    });
  const whole = verify();
  expect(whole.stdout).toMatch(/^120 rows, each with the digest of the one before; the last: [0-9a-f]{64}$/m);
  expect(whole.status).toBe(0);
  // whoever can write to the database can drop the trigger, but not make the digests fit
  await stack.edge.execute('DROP TRIGGER audit_is_fixed');
  await stack.edge.execute("UPDATE audit SET outcome = 'refused' WHERE tenant = 'audited' AND seq = 7");
  expect(verify()).toMatchObject({ status: 1, stdout: expect.stringContaining('row 7 was changed') });
}, 60_000);
