import {
  createExecutionContext,
  createMessageBatch,
  evictDurableObject,
  getQueueResult,
  runDurableObjectAlarm,
  runInDurableObject,
} from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import worker from '../../../edge/index.ts';
import { unwrap } from '../../../edge/jobs/answer.ts';
import type { Ledger } from '../../../edge/jobs/ledger.ts';
import { ledgerOf } from '../../../edge/jobs/ledger-of.ts';
import type { Completion } from '../../../edge/jobs/publish.ts';
import type { Terms } from '../../../edge/jobs/state.ts';
import { signingKeys } from '../../../edge/workers/signing-keys.ts';
import { randomId } from '../../../shared/signing/digest.ts';
import { signMessage } from '../../../shared/signing/message.ts';

const termsOf = (more: Partial<Terms> = {}): Terms => ({
  id: randomId('job'),
  tenant: 'tenant',
  type: 'diagnostics.run',
  input_digest: 'a'.repeat(64),
  created_at: Date.now(),
  timeout_ms: 60_000,
  queue_ttl_ms: 60_000,
  max_attempts: 2,
  retention_ms: 60_000,
  inputs_kept_ms: null,
  estimate_s: 1,
  webhook: null,
  labels: {},
  ...more,
});
const worker1 = randomId('wkr');

/** A new job and the dispatch that went out for it. */
async function newJob(more: Partial<Terms> = {}, params: Record<string, unknown> = {}) {
  const terms = termsOf(more);
  const ledger = ledgerOf(env, terms.id);
  await ledger.create(terms, { inline: params });
  return { terms, ledger, stub: (env.LEDGER as DurableObjectNamespace<Ledger>).getByName(terms.id) };
}
const rows = async (sql: string, ...values: unknown[]) =>
  (
    await env.DB.prepare(sql)
      .bind(...values)
      .all()
  ).results;

async function deadLetters(...bodies: unknown[]) {
  const messages = bodies.map((body, i) => ({ id: `m${i}`, timestamp: new Date(), attempts: 1, body }));
  const batch = createMessageBatch('sextant-jobs-dead', messages);
  await worker.queue(batch, env);
  return getQueueResult(batch, createExecutionContext());
}

describe('the ledger object', () => {
  it('creates a job once, however often it is told to', async () => {
    const { terms, ledger } = await newJob();
    await ledger.create({ ...terms, tenant: 'other' }, { inline: { steps: 9 } });
    expect(await ledger.view('other')).toBeNull();
    expect((await ledger.view('tenant'))?.id).toBe(terms.id);
    expect(await rows('SELECT tenant, status FROM jobs WHERE id = ?', terms.id)).toEqual([
      { tenant: 'tenant', status: 'queued' },
    ]);
  });

  it('keeps nothing for an id that was never given out', async () => {
    const id = randomId('job');
    expect(await ledgerOf(env, id).view('tenant')).toBeNull();
    expect(await ledgerOf(env, id).claim(worker1, randomId('dsp'))).toMatchObject({
      ok: false,
      code: 'dispatch_unknown',
    });
    expect(await runDurableObjectAlarm(env.LEDGER.getByName(id))).toBe(false);
  });

  it('refuses a dispatch that it did not issue', async () => {
    const { ledger } = await newJob();
    expect(await ledger.claim(worker1, randomId('dsp'))).toMatchObject({ ok: false, code: 'dispatch_unknown' });
    expect((await ledger.view('tenant'))?.status).toBe('queued');
  });

  it('forgets a job when its time to be read is over', async () => {
    const { terms, ledger, stub } = await newJob({ retention_ms: 0 });
    await ledger.cancel('tenant');
    await runDurableObjectAlarm(stub);
    expect(await ledger.view('tenant')).toBeNull();
    expect(await rows('SELECT id FROM jobs WHERE id = ?', terms.id)).toEqual([]);
  });

  it("deletes what a job on people's data was given", async () => {
    const artefact = randomId('art');
    await env.DB.prepare(
      `INSERT INTO artefacts (id, tenant, sha256, bytes, media_type, name, state, created_at)
       VALUES (?, 'tenant', 'f', 1, 'text/csv', 'people.csv', 'stored', 0)`,
    )
      .bind(artefact)
      .run();
    const params = { model: { local: 'm' }, corpus: { artefact, format: 'text', field: 'text' } };
    const { ledger, stub } = await newJob({ type: 'sae.train', inputs_kept_ms: 0 }, params);
    await ledger.cancel('tenant');
    await runDurableObjectAlarm(stub);
    expect(await rows('SELECT expires_at FROM artefacts WHERE id = ?', artefact)).toEqual([{ expires_at: 0 }]);
    expect((await ledger.view('tenant'))?.status).toBe('canceled');
  });
});

/** Runs one statement in the ledger's own tables, to put it where a crash would have left it. */
/** What is changed behind the ledger's back it learns by beginning anew. */
const inLedger = async (stub: DurableObjectStub<Ledger>, sql: string, ...values: string[]) => {
  const rows = await runInDurableObject(stub, (_, state) => state.storage.sql.exec(sql, ...values).toArray());
  if (!sql.startsWith('SELECT')) {
    await evictDurableObject(stub);
  }
  return rows;
};

/** A job that a worker holds. */
async function heldJob(more: Partial<Terms> = {}) {
  const job = await newJob(more);
  const [dispatch] = await inLedger(job.stub, 'SELECT id FROM dispatches');
  const { fence, attempt } = unwrap(await job.ledger.claim(worker1, String(dispatch?.id)));
  return { ...job, attempt, dispatch: String(dispatch?.id), by: { worker: worker1, fence } };
}

describe('an attempt', () => {
  it('tells its heartbeat when the job was canceled, and is refused when another took over', async () => {
    const { ledger, by } = await heldJob();
    expect(await ledger.heartbeat(by, null)).toMatchObject({ ok: true, value: { cancel: false } });
    expect(await ledger.heartbeat({ ...by, worker: randomId('wkr') }, null)).toMatchObject({ code: 'fence_stale' });
    await ledger.cancel('tenant');
    expect(await ledger.heartbeat(by, null)).toMatchObject({ ok: true, value: { cancel: true } });
    expect(await ledger.fail(by, { code: 'timeout', detail: '' }, false)).toMatchObject({ code: 'job_terminal' });
    expect((await ledger.view('tenant'))?.status).toBe('canceled');
  });

  it('loses the job with its lease by the alarm alone, and the old dispatch may be claimed again', async () => {
    const { ledger, stub, by, dispatch } = await heldJob();
    await inLedger(stub, "UPDATE job SET state = json_set(state, '$.attempt.lease_until', 1)");
    await runDurableObjectAlarm(stub);
    expect(await ledger.view('tenant')).toMatchObject({ status: 'queued', error: { code: 'lease_lost' } });
    expect(await ledger.heartbeat(by, null)).toMatchObject({ code: 'fence_stale' });
    expect(await inLedger(stub, 'SELECT count(*) AS n FROM dispatches')).toEqual([{ n: 2 }]);
    expect(await ledger.claim(worker1, dispatch)).toMatchObject({ ok: true, value: { attempt: 2 } });
    expect(await ledger.claim(worker1, dispatch)).toMatchObject({ ok: false, code: 'job_busy' });
  });

  it('whose completion was accepted succeeds, although the edge died before publishing it', async () => {
    const { terms, ledger, stub, by } = await heldJob();
    const artefact = {
      id: randomId('art'),
      name: 'bytes.bin',
      sha256: 'f'.repeat(64),
      bytes: 1,
      media_type: 'application/octet-stream',
    };
    const outcome = {
      result: { steps: 1 },
      result_digest: 'e'.repeat(64),
      metrics: {},
      run: { device: 'cpu', dtype: '', seed: 0, tolerance: null, versions: {}, wall_s: 0, peak_rss_bytes: 0 },
      artefacts: [artefact],
      published: [],
    };
    const completion: Completion = { outcome, published: [], models: [] };
    await inLedger(
      stub,
      "UPDATE job SET state = json_set(state, '$.sealed', json('true')), completion = ?",
      JSON.stringify(completion),
    );
    expect(await ledger.view('tenant')).toMatchObject({ status: 'running', artefacts: [] });
    expect(await ledger.cancel('tenant')).toMatchObject({ ok: false, code: 'job_terminal' });
    expect(await ledger.fail(by, { code: 'internal', detail: '' }, true)).toMatchObject({ code: 'conflict' });
    await runDurableObjectAlarm(stub);
    expect(await ledger.view('tenant')).toMatchObject({ status: 'succeeded', artefacts: [artefact] });
    expect(await rows('SELECT id FROM artefacts WHERE job = ?', terms.id)).toEqual([{ id: artefact.id }]);
    // the worker's repeat of its completion is answered, and publishes nothing twice
    expect(await ledger.complete(by, null)).toMatchObject({ ok: true, value: { status: 'succeeded' } });
    expect(await rows('SELECT id FROM artefacts WHERE job = ?', terms.id)).toHaveLength(1);
  });
});

describe('a checkpoint', () => {
  const blobOf = (letter: string) => ({
    name: `part-${letter}`,
    sha256: letter.repeat(64),
    bytes: 1,
    media_type: 'application/octet-stream',
  });
  const holds = async (id: string) =>
    (await rows('SELECT sha256 FROM blob_uses WHERE holder = ? ORDER BY sha256', id)).map((row) => row.sha256);
  const requeue = async (stub: DurableObjectStub<Ledger>) => {
    await inLedger(stub, "UPDATE job SET state = json_set(state, '$.attempt.lease_until', 1)");
    await runDurableObjectAlarm(stub);
  };

  it('goes to the next attempt, and a stale attempt changes nothing of it', async () => {
    const { terms, ledger, stub, by, dispatch } = await heldJob();
    const first = { state: { tokens: 1 }, blobs: [blobOf('a'), blobOf('b')] };
    expect(await ledger.checkpoint(by, first)).toMatchObject({ ok: true });
    expect(await ledger.checkpoint({ ...by, worker: randomId('wkr') }, first)).toMatchObject({ code: 'fence_stale' });
    await requeue(stub);
    const stale = { state: { tokens: 9 }, blobs: [blobOf('z')] };
    expect(await ledger.checkpoint(by, stale)).toMatchObject({ code: 'fence_stale' });
    const second = unwrap(await ledger.claim(worker1, dispatch));
    expect(second.checkpoint).toEqual(first);
    expect(await ledger.checkpoint(by, stale)).toMatchObject({ code: 'fence_stale' });
    expect(await holds(terms.id)).toEqual(['a'.repeat(64), 'b'.repeat(64)]);
    // The new holder's replaces it, and lets go of what it does not name.
    const next = { state: { tokens: 2 }, blobs: [blobOf('b'), blobOf('c')] };
    await ledger.checkpoint({ worker: worker1, fence: second.fence }, next);
    expect(await holds(terms.id)).toEqual(['b'.repeat(64), 'c'.repeat(64)]);
  });

  it.each(['cancel', 'fail'] as const)('goes with the job: %s', async (how) => {
    const { terms, ledger, stub, by } = await heldJob();
    await ledger.checkpoint(by, { state: {}, blobs: [blobOf('a')] });
    expect(await holds(terms.id)).toHaveLength(1);
    if (how === 'cancel') {
      await ledger.cancel('tenant');
    } else {
      await ledger.fail(by, { code: 'data_invalid', detail: '' }, false);
    }
    expect(await holds(terms.id)).toEqual([]);
    expect(await inLedger(stub, 'SELECT body FROM checkpoint')).toEqual([{ body: null }]);
    expect(await ledger.checkpoint(by, { state: {}, blobs: [] })).toMatchObject({ code: 'job_terminal' });
  });

  it('is held by the alarm where the edge died before it could', async () => {
    const { terms, ledger, stub, by } = await heldJob();
    await ledger.checkpoint(by, { state: {}, blobs: [blobOf('a')] });
    await rows('DELETE FROM blob_uses WHERE holder = ?', terms.id);
    await inLedger(stub, 'UPDATE checkpoint SET held = 0');
    await runDurableObjectAlarm(stub);
    expect(await holds(terms.id)).toEqual(['a'.repeat(64)]);
  });

  it('is refused once the completion was accepted', async () => {
    const { ledger, stub, by } = await heldJob();
    await inLedger(stub, "UPDATE job SET state = json_set(state, '$.sealed', json('true')), completion = '{}'");
    expect(await ledger.checkpoint(by, { state: {}, blobs: [] })).toMatchObject({ code: 'conflict' });
  });

  it('of a job that is older than checkpoints finds its table', async () => {
    const { terms, stub, by } = await heldJob();
    await inLedger(stub, 'DROP TABLE IF EXISTS checkpoint');
    await runInDurableObject(stub, (_, state) => state.abort('restart')).catch(() => {});
    expect(await ledgerOf(env, terms.id).checkpoint(by, { state: {}, blobs: [] })).toMatchObject({ ok: true });
  });
});

describe('a late index write', () => {
  it('never undoes a newer one', async () => {
    const { terms, ledger } = await newJob();
    await ledger.cancel('tenant');
    const { indexJob } = await import('../../../edge/jobs/projection.ts');
    const { create } = await import('../../../edge/jobs/state.ts');
    await indexJob(env.DB, create(terms, 'dsp_old'), 1);
    expect(await rows('SELECT status FROM jobs WHERE id = ?', terms.id)).toEqual([{ status: 'canceled' }]);
  });
});

describe('dead letters', () => {
  it('that are forged, of another dispatch or no messages at all are dropped and fail nothing', async () => {
    const { terms, ledger } = await newJob();
    const [key] = signingKeys(env);
    const of = (jti: string) => ({
      sub: terms.id,
      jti,
      type: terms.type,
      input_digest: terms.input_digest,
      params: {},
    });
    const genuine = await signMessage(key, of(randomId('dsp')), Date.now() / 1000);
    const result = await deadLetters(
      { jws: genuine },
      { jws: `${genuine.slice(0, -5)}AAAAA` },
      { jws: 'nonsense' },
      { other: 1 },
      'text',
      null,
    );
    expect(result.explicitAcks).toHaveLength(6);
    expect((await ledger.view('tenant'))?.status).toBe('queued');
  });
});
