/** Computations that are stopped, fail, crash or take too much; and a worker whose clock is wrong. */
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/until.ts';
import { childrenOf, isAlive, Stack, type Worker } from './support/stack.ts';

const stack = new Stack();
beforeAll(() => stack.start(), 120_000);
afterEach(() => stack.stopWorkers());
afterAll(() => stack.stop());

/** Process ids of what the worker computes, as soon as there is something. */
async function computationsOf(worker: Worker): Promise<number[]> {
  const pid = worker.process.pid ?? 0;
  await until(() => childrenOf(pid).length > 0, 'a computation');
  return childrenOf(pid);
}

// First of all: what grows too large for one worker waits for the largest that its pool has had within a day.
describe('a computation of a pool that has had no larger worker', () => {
  it('grows beyond the memory limit is killed, and the worker lives on', async () => {
    const worker = await stack.startWorker({ memory_limit_bytes: 300_000_000 });
    const id = await stack.post({ steps: 40, step_ms: 50, allocate_bytes: 2_000_000_000 });
    expect(await stack.ended(id)).toMatchObject({
      status: 'failed',
      attempt: 1,
      error: { code: 'memory_exceeded', detail: expect.stringContaining('300000000') },
      artefacts: [],
    });
    expect((await stack.ended(await stack.post())).status).toBe('succeeded');
    expect(worker.process.exitCode).toBeNull();
  });
});

describe('canceling', () => {
  it('before a worker has the job keeps it from being run', async () => {
    const id = await stack.post();
    expect(await (await stack.call('POST', `/v1/jobs/${id}/cancel`)).json()).toMatchObject({ status: 'canceled' });
    const worker = await stack.startWorker();
    const other = await stack.post();
    await stack.reached(other, 'succeeded');
    expect(worker.events.filter(({ event }) => event === 'claimed').map((one) => one.id)).toEqual([other]);
    expect((await stack.job(id)).status).toBe('canceled');
  });

  it('a running job stops its computation within 2 s, even when it never yields', async () => {
    const worker = await stack.startWorker();
    const id = await stack.post({ steps: 1, step_ms: 60_000, busy: true });
    await worker.logged('claimed', id);
    const pids = await computationsOf(worker);
    const begun = performance.now();
    const answer = await stack.call('POST', `/v1/jobs/${id}/cancel`);
    expect(answer.status).toBe(200);
    await until(() => !pids.every(isAlive), 'the computation to end');
    expect(performance.now() - begun).toBeLessThan(2000);
    await worker.logged('canceled', id);
    expect(await stack.job(id)).toMatchObject({ status: 'canceled', result: null, artefacts: [] });
    // canceling again changes nothing, and the worker is free for other work
    expect((await stack.call('POST', `/v1/jobs/${id}/cancel`)).status).toBe(200);
    expect((await stack.ended(await stack.post())).status).toBe('succeeded');
  });

  it('a job that has ended is refused', async () => {
    await stack.startWorker();
    const id = await stack.post();
    await stack.reached(id, 'succeeded');
    const answer = await stack.call('POST', `/v1/jobs/${id}/cancel`);
    expect(answer.status).toBe(409);
    expect(await answer.json()).toMatchObject({ code: 'job_terminal' });
    await stack.assertSingleCompletion(id);
  });
});

describe('a computation that', () => {
  it('runs past timeout_s is stopped', async () => {
    const worker = await stack.startWorker();
    const id = await stack.post({ steps: 1, step_ms: 60_000, busy: true }, { timeout_s: 2 });
    await worker.logged('claimed', id);
    const pids = await computationsOf(worker);
    const job = await stack.ended(id);
    expect(job).toMatchObject({ status: 'failed', error: { code: 'timeout' } });
    expect(job.cost.actual).toBeGreaterThanOrEqual(1.9);
    expect(job.cost.actual).toBeLessThan(4);
    await until(() => !pids.every(isAlive), 'the computation to end');
  });

  it('always fails reaches its cap and says why', async () => {
    await stack.startWorker();
    const id = await stack.post({ fail_at: 1, fail_as: 'retryable' }, { max_attempts: 3 });
    const job = await stack.ended(id);
    expect(job).toMatchObject({
      status: 'failed',
      attempt: 3,
      error: { code: 'attempts_exhausted', detail: expect.stringContaining('failed at step 1, as asked') },
    });
    expect((await stack.statuses(id)).filter(({ status }) => status === 'running')).toHaveLength(3);
  });

  it('fails for good is not tried again', async () => {
    await stack.startWorker();
    const id = await stack.post({ fail_at: 1, fail_as: 'permanent' });
    expect(await stack.ended(id)).toMatchObject({ status: 'failed', attempt: 1, error: { code: 'data_invalid' } });
  });

  it('crashes without a word is tried again and named', async () => {
    await stack.startWorker();
    const id = await stack.post({ fail_at: 1, fail_as: 'crash' }, { max_attempts: 2 });
    expect(await stack.ended(id)).toMatchObject({
      status: 'failed',
      attempt: 2,
      error: { code: 'attempts_exhausted', detail: expect.stringMatching(/computation_crashed.*SIGKILL/) },
    });
  });
});

describe.each([-600_000, 600_000])('a worker whose clock is off by %d ms', (error_ms) => {
  it('learns the time from the edge and works', async () => {
    const preload = join(import.meta.dirname, 'support/skewed-clock.ts');
    const worker = await stack.startWorker({ preload, environment: { CLOCK_ERROR_MS: String(error_ms) } });
    const id = await stack.post({ steps: 5, step_ms: 300 });
    expect(await stack.ended(id)).toMatchObject({ status: 'succeeded', attempt: 1 });
    await worker.logged('completed', id);
    await stack.assertSingleCompletion(id);
  });
});

it('params too long for a message travel by reference', async () => {
  await stack.startWorker();
  const padding = 'ä'.repeat(200_000);
  const id = await stack.post({ padding });
  expect(await stack.ended(id)).toMatchObject({ status: 'succeeded', result: { padding_length: padding.length } });
});
