/** A bell brings work to a worker that hardly ever polls; without it the poll finds the work, and lanes do not wait for each other. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Stack, type Worker } from './support/stack.ts';

/** Longer than this file takes: whatever starts before has been rung for. */
const POLL_MS = 300_000;
const stack = new Stack({ resend_ms: 600_000 });
let worker: Worker;
beforeAll(async () => {
  await stack.start();
  worker = await stack.startWorker({ poll_ms: POLL_MS });
  // the socket is there once a job has come through
  await stack.ended(await stack.post());
}, 180_000);
afterAll(() => stack.stop());

it('rings for jobs of either lane, and an interactive one runs beside a batch job', async () => {
  const training = await stack.post({ steps: 1000, step_ms: 50 });
  await worker.logged('claimed', training);
  const quick = await stack.post({ lane: 'interactive' });
  const job = await stack.ended(quick);
  expect(job).toMatchObject({ status: 'succeeded', attempt: 1 });
  expect((await stack.job(training)).status).toBe('running');
  await stack.assertSingleCompletion(quick);
  await stack.call('POST', `/v1/jobs/${training}/cancel`);
  await stack.reached(training, 'canceled');
  // free again: the next one is rung for too
  expect(await stack.ended(await stack.post())).toMatchObject({ status: 'succeeded', attempt: 1 });
});
