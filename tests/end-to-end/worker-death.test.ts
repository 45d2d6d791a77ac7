/** Processes die and messages get lost or multiplied; each job still completes exactly once. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { newSigningKey } from '../support/signing-key.ts';
import { until } from '../support/until.ts';
import { childrenOf, isAlive, Stack } from './support/stack.ts';

const stack = new Stack();
beforeAll(() => stack.start(), 120_000);
afterEach(() => stack.stopWorkers());
afterAll(() => stack.stop());
const steps = { steps: 12, step_ms: 150, artefacts: 2 };

describe('a job whose', () => {
  it('worker is killed goes to another worker, and the orphaned computation ends', async () => {
    const first = await stack.startWorker({ visibility_ms: 5000 });
    const id = await stack.post(steps);
    await first.logged('claimed', id);
    await until(() => childrenOf(first.process.pid ?? 0).length > 0, 'a computation');
    const orphans = childrenOf(first.process.pid ?? 0);
    await first.end('SIGKILL');
    const second = await stack.startWorker({ visibility_ms: 5000 });
    await second.logged('completed', id);
    const job = await stack.assertSingleCompletion(id);
    expect(job.attempt).toBe(2);
    expect(job.artefacts).toHaveLength(2);
    await until(() => orphans.every((pid) => !isAlive(pid)), 'the orphan to end');
    expect((await stack.statuses(id)).map(({ status }) => status)).toEqual([
      'queued',
      'running',
      'queued',
      'running',
      'succeeded',
    ]);
  });

  it('worker is told to stop is given back at once and the attempt does not count', async () => {
    const first = await stack.startWorker();
    const id = await stack.post(steps, { max_attempts: 1 });
    await first.logged('claimed', id);
    await first.end('SIGTERM');
    expect(first.count('released')).toBe(1);
    await stack.startWorker();
    const job = await stack.ended(id);
    expect(job).toMatchObject({ status: 'succeeded', attempt: 2 });
    await stack.assertSingleCompletion(id);
  });

  it('whole stack loses its power completes after the restart', async () => {
    const worker = await stack.startWorker();
    const id = await stack.post(steps);
    const waiting = await stack.post(steps);
    await worker.logged('claimed', id);
    await Promise.all([stack.edge.stop('SIGKILL'), worker.end('SIGKILL')]);
    await stack.startEdge();
    await stack.startWorker();
    await stack.reached(id, 'succeeded');
    await stack.reached(waiting, 'succeeded');
    await stack.assertSingleCompletion(id);
    await stack.assertSingleCompletion(waiting);
  });

  it('edge goes away for a moment keeps its computation', async () => {
    const worker = await stack.startWorker();
    const id = await stack.post({ steps: 40, step_ms: 150 });
    await worker.logged('claimed', id);
    await stack.edge.stop('SIGTERM');
    await stack.startEdge();
    const job = await stack.ended(id);
    expect(job.status).toBe('succeeded');
    await stack.assertSingleCompletion(id);
  });
});

describe('a message that', () => {
  it('was lost before anyone pulled it is sent again, which is no attempt', async () => {
    const id = await stack.post();
    const lost = await stack.delivered();
    await stack.gateway('ack', { acks: lost.map(({ lease_id }) => ({ lease_id })) });
    await stack.startWorker();
    expect(await stack.ended(id)).toMatchObject({ status: 'succeeded', attempt: 1 });
    await stack.assertSingleCompletion(id);
  });

  it('two workers get at once, and three times, is run once', async () => {
    const id = await stack.post({ steps: 20, step_ms: 100 });
    const jws = await stack.messageOf(id);
    await stack.send({ jws });
    await stack.send({ jws });
    const racers = await Promise.all([stack.startWorker(), stack.startWorker()]);
    const job = await stack.ended(id);
    expect(job).toMatchObject({ status: 'succeeded', attempt: 1 });
    await sleep(500);
    expect(racers.reduce((sum, racer) => sum + racer.count('claimed'), 0)).toBe(1);
    expect(racers.flatMap(({ events }) => events).some(({ reason }) => reason === 'job_busy')).toBe(true);
    await stack.assertSingleCompletion(id);
  });
});

describe('signing keys', () => {
  it('rotate: messages under the old key and under the new one are both taken', async () => {
    const old = await stack.post();
    await stack.edge.stop();
    stack.signingKeys.unshift(await newSigningKey('edge-2'));
    await stack.startEdge();
    const young = await stack.post();
    const [first, second] = [await stack.messageOf(old), await stack.messageOf(young)].map(
      (jws) => JSON.parse(Buffer.from(jws.split('.')[0] ?? '', 'base64url').toString()).kid,
    );
    expect([first, second]).toEqual(['edge-1', 'edge-2']);
    await stack.startWorker();
    for (const id of [old, young]) {
      expect(await stack.ended(id)).toMatchObject({ status: 'succeeded', attempt: 1 });
      await stack.assertSingleCompletion(id);
    }
  });
});
