/** Many jobs of one tenant and one of another, on real workers. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { INSERT_KEY, keyValues, mintKey } from '../../edge/keys/mint.ts';
import { SCOPES } from '../../shared/contracts/scope.ts';
import { until } from '../support/until.ts';
import { Stack } from './support/stack.ts';

const stack = new Stack({ resend_ms: 60_000 });
beforeAll(() => stack.start(), 120_000);
afterAll(() => stack.stop());

it("starts another tenant's only job among the next workers + 1, and sends no message twice", async () => {
  const waiting: string[] = [];
  for (let i = 0; i < 8; i += 1) {
    waiting.push(await stack.post({ step_ms: 100 }));
  }
  const { text, row } = await mintKey({ tenant: 'other', name: 'other', scopes: SCOPES, now: Date.now() });
  await stack.edge.execute(INSERT_KEY, keyValues(row));
  const workers = [await stack.startWorker(), await stack.startWorker()];
  const claims = () => workers.flatMap(({ events }) => events.filter(({ event }) => event === 'claimed'));
  await until(() => claims().length >= 2, 'the first claims');
  const answer = await stack.call('POST', '/v1/jobs', {
    body: { type: 'diagnostics.run', params: { steps: 1, step_ms: 0 } },
    headers: { authorization: `Bearer ${text}`, 'idempotency-key': 'other' },
  });
  const before = claims().length;
  const { id } = (await answer.json()) as { id: string };
  await until(() => claims().some((one) => one.id === id), 'its claim');
  const ordered = workers
    .flatMap(({ events }) => events.filter(({ event }) => event === 'claimed'))
    .sort((a, b) => (a.at ?? '').localeCompare(b.at ?? ''));
  expect(ordered.findIndex((one) => one.id === id) + 1 - before).toBeLessThanOrEqual(workers.length + 1);
  for (const job of waiting) {
    await stack.ended(job);
  }
  // every message led to a claim: none was sent again while it waited
  expect(workers.reduce((sum, worker) => sum + worker.count('not claimed'), 0)).toBe(0);
  expect(claims()).toHaveLength(9);
}, 180_000);

it('loses no waiting job, and starts none twice, where the dispatcher is killed in their midst', async () => {
  await stack.stop();
  // What the power cut takes is sent again soon.
  const cut = new Stack();
  await cut.start();
  const jobs: string[] = [];
  for (let i = 0; i < 10; i += 1) {
    jobs.push(await cut.post({ step_ms: 50 }));
  }
  const worker = await cut.startWorker();
  await until(() => worker.count('completed') >= 2, 'two jobs to be done');
  // as a power cut: the dispatcher, the ledgers and the queue's gateway at once
  await cut.edge.stop('SIGKILL');
  await cut.startEdge();
  for (const job of jobs) {
    expect((await cut.ended(job)).status).toBe('succeeded');
    await cut.assertSingleCompletion(job);
  }
  expect(await cut.edge.execute("SELECT id FROM jobs WHERE status IN ('queued', 'running')")).toEqual([]);
  await cut.stop();
}, 120_000);
