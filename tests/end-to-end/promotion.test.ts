/** What a job leaves behind is promoted piece by piece: it takes longer than a lease and than one call, and its first attempt succeeds. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runLargeJob } from './support/large-job.ts';
import { LEASE_MS, Stack } from './support/stack.ts';
import { TroubledLine } from './support/troubled-line.ts';

const ARTEFACTS = 15;
/** Four pieces are promoted at a time, and a call is answered after eight seconds. */
const SLOW_PUT_MS = 3000;

const stack = new Stack({
  vars: { SLOW_PUT_MS: String(SLOW_PUT_MS) },
  entry: join(import.meta.dirname, 'support/slow-bucket-edge.js'),
});
const line = new TroubledLine(() => Number(new URL(stack.edge.url).port));
beforeAll(async () => {
  await line.open();
  await stack.start();
  await stack.startWorker({ edge_url: line.url });
}, 120_000);
afterAll(async () => {
  await stack.stop();
  await line.close();
});

it('in several calls, each going on from where the last one stopped', async () => {
  const { job, completions, runs } = await runLargeJob(stack, line, {
    artefacts: ARTEFACTS,
    bytes: 20_000,
    limit_ms: 120_000,
  });
  expect(job).toMatchObject({ status: 'succeeded', attempt: 1, error: null });
  expect(runs).toBe(1);
  // what was injected makes sure of it: the whole takes longer than the lease and than a call's patience
  expect((SLOW_PUT_MS * ARTEFACTS) / 4).toBeGreaterThan(LEASE_MS);
  expect(completions).toBeGreaterThan(1);
  expect(job.artefacts).toHaveLength(ARTEFACTS);
  for (const { id, sha256 } of job.artefacts) {
    const bytes = new Uint8Array(await (await stack.call('GET', `/v1/artefacts/${id}`)).arrayBuffer());
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256);
  }
  await stack.assertSingleCompletion(job.id);
  // promoted is removed from staging
  expect(await stack.storedKeys('/staging/')).toEqual([]);
}, 180_000);
