/** A line that fails, answers that get lost or are cut, outages longer than a lease: what was computed is never thrown away. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/until.ts';
import { Stack } from './support/stack.ts';
import { stopDuringUpload } from './support/stopped-upload.ts';
import { TroubledLine } from './support/troubled-line.ts';

const vars: Record<string, string> = {};
const stack = new Stack({ vars });
const line = new TroubledLine(() => Number(new URL(stack.edge.url).port));
beforeAll(async () => {
  vars.S3_ENDPOINT = `${(await line.open()).url}/cdn-cgi/local/r2/s3`;
  await stack.start();
}, 120_000);
afterEach(async () => {
  line.trouble = () => 'pass';
  await stack.stopWorkers();
});
afterAll(async () => {
  await stack.stop();
  await line.close();
});
const startWorker = () => stack.startWorker({ edge_url: line.url });

/** Troubles for the first calls of each kind, in their order. */
function inTurn(troubles: Record<string, ReturnType<TroubledLine['trouble']>[]>): TroubledLine['trouble'] {
  return ({ method, path }) => {
    const kind = method === 'PUT' ? 'PUT' : (path.split('/').at(-1) ?? '');
    return troubles[kind]?.shift() ?? 'pass';
  };
}

describe('an attempt', () => {
  it('delivers what it computed through refusals, lost and cut answers of every call', async () => {
    const troubles: Record<string, ReturnType<TroubledLine['trouble']>[]> = {
      claim: ['lost', 'cut'],
      uploads: ['refuse', '500', 'cut', 'lost'],
      PUT: ['500', 'refuse', 'lost', '500', '500'],
      heartbeat: ['cut', 'refuse'],
      complete: ['500', 'lost', 'cut'],
    };
    line.trouble = inTurn(troubles);
    await startWorker();
    const id = await stack.post({
      steps: 3,
      step_ms: 1200,
      artefacts: 3,
      artefact_bytes: 1234,
      seed: 1,
      padding: 'x'.repeat(60_000),
    });
    const job = await stack.ended(id);
    expect(job).toMatchObject({ status: 'succeeded', attempt: 1 });
    expect(job.artefacts).toHaveLength(3);
    await stack.assertSingleCompletion(id);
    // the ledger has the result before its answer gets through
    await until(() => troubles.complete?.length === 0, 'the completion to be answered');
    expect(troubles).toEqual({ claim: [], uploads: [], PUT: [], heartbeat: [], complete: [] });
  });

  it('whose edge is away for longer than its lease is taken up again, and counts as one', async () => {
    await startWorker();
    const id = await stack.post({ steps: 90, step_ms: 100 }, { max_attempts: 2 });
    await stack.reached(id, 'running');
    line.trouble = () => 'refuse';
    await stack.reached(id, 'queued');
    line.trouble = () => 'pass';
    const job = await stack.ended(id);
    expect(job).toMatchObject({ status: 'succeeded', attempt: 1, error: null });
    expect((await stack.statuses(id)).map(({ status }) => status)).toEqual([
      'queued',
      'running',
      'queued',
      'running',
      'succeeded',
    ]);
    await stack.assertSingleCompletion(id);
  });

  it('has no message in the queue while it runs', async () => {
    const worker = await startWorker();
    const id = await stack.post({ steps: 10, step_ms: 100 });
    await worker.logged('claimed', id);
    const { result } = await stack.gateway('pull', { batch_size: 1, visibility_timeout_ms: 1000 });
    expect(result).toMatchObject({ message_backlog_count: 0 });
    expect((await stack.ended(id)).status).toBe('succeeded');
  });

  it('that is told to stop in the middle of an upload gives the job back', async () => {
    // a worker that waited for it would not get to release
    const { released, job } = await stopDuringUpload(stack, line);
    expect(released).toBe(1);
    expect(job).toMatchObject({ status: 'succeeded', attempt: 2, error: null });
    expect(job.artefacts).toHaveLength(1);
    await stack.assertSingleCompletion(job.id);
  });

  it('whose computation shows no progress is ended long before its time is up', async () => {
    await stack.startWorker({ stall_limit_s: 2 });
    const id = await stack.post({ steps: 1, step_ms: 60_000, busy: true }, { max_attempts: 1 });
    const job = await stack.ended(id);
    expect(job).toMatchObject({ status: 'failed', error: { code: 'attempts_exhausted', attempt: 1 } });
    expect(job.error?.detail).toContain('stalled: the computation showed no progress for 2 s');
  });
});
