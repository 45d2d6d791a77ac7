/** A real worker's job reaches its key's cap on device seconds, stops with its checkpoint, and is taken up by another key. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { INSERT_KEY, keyValues, mintKey } from '../../edge/keys/mint.ts';
import type { Job } from '../../shared/contracts/job.ts';
import { SCOPES } from '../../shared/contracts/scope.ts';
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
  // it would have taken six seconds
  expect(stopped.cost.actual).toBeGreaterThanOrEqual(2);
  expect(stopped.cost.actual).toBeLessThan(5.9);

  const capped = await stack.call('POST', `/v1/jobs/${id}/resume`, {
    body: {},
    headers: { authorization: `Bearer ${text}` },
  });
  const poor = (await capped.json()) as Job;
  expect(await stack.ended(poor.id)).toMatchObject({ status: 'failed', attempt: 0, error: { code: 'spending_cap' } });

  const resumed = await stack.call('POST', `/v1/jobs/${poor.id}/resume`, { body: {} });
  const job = await stack.ended(((await resumed.json()) as Job).id);
  expect(job).toMatchObject({ status: 'succeeded', resumed_from: poor.id });
  expect(job.metrics?.steps_resumed).toBeGreaterThan(5);
  expect(job.metrics?.steps_resumed).toBeLessThan(40);
}, 90_000);
