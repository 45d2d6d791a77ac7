import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { unwrap } from '../../../edge/jobs/answer.ts';
import { dispatcherOf } from '../../../edge/jobs/dispatcher/dispatcher-of.ts';
import { ledgerOf } from '../../../edge/jobs/ledger-of.ts';
import type { Completion } from '../../../edge/jobs/publish.ts';
import { randomId } from '../../../shared/signing/digest.ts';
import { heldJob, inLedger, loseLease, newJob, rows, worker1 } from '../support/ledger-jobs.ts';

describe('an attempt', () => {
  it('tells its heartbeat when the job was canceled, and is refused when another took over', async () => {
    const { ledger, by } = await heldJob();
    expect(await ledger.heartbeat(by, null)).toMatchObject({ ok: true, value: { cancel: false } });
    expect(await ledger.heartbeat({ ...by, worker: randomId('wkr') }, null)).toMatchObject({ code: 'fence_stale' });
    await ledger.cancel('tenant');
    expect(await ledger.heartbeat(by, null)).toMatchObject({ ok: true, value: { cancel: true } });
    expect(await ledger.fail(by, { code: 'timeout', detail: '' }, { retryable: false })).toMatchObject({
      code: 'job_terminal',
    });
    expect((await ledger.view('tenant'))?.status).toBe('canceled');
  });

  it('loses the job with its lease by the alarm alone, and the old dispatch may be claimed again', async () => {
    const { ledger, stub, by, dispatch } = await heldJob();
    await loseLease(stub);
    expect(await ledger.view('tenant')).toMatchObject({ status: 'queued', error: { code: 'lease_lost' } });
    expect(await inLedger(stub, 'SELECT count(*) AS n FROM dispatches')).toEqual([{ n: 2 }]);
    expect(await ledger.claim(worker1, dispatch)).toMatchObject({ ok: true, value: { attempt: 2 } });
    expect(await ledger.heartbeat(by, null)).toMatchObject({ code: 'fence_stale' });
    expect(await ledger.claim(worker1, dispatch)).toMatchObject({ ok: false, code: 'job_busy' });
  });

  it('whose lease ran out takes the job up again as long as nobody else has claimed it', async () => {
    const { ledger, stub, by } = await heldJob({ max_attempts: 2 });
    for (let outage = 0; outage < 3; outage += 1) {
      await loseLease(stub);
      expect(await ledger.view('tenant')).toMatchObject({ status: 'queued' });
      expect(await ledger.heartbeat(by, null)).toMatchObject({ ok: true, value: { cancel: false } });
      expect(await ledger.view('tenant')).toMatchObject({ status: 'running', attempt: 1, error: null });
    }
    await loseLease(stub);
    expect(
      await ledger.fail({ ...by, worker: randomId('wkr') }, { code: 'x', detail: '' }, { retryable: false }),
    ).toMatchObject({
      code: 'fence_stale',
    });
    expect(await ledger.fail(by, { code: 'data_invalid', detail: '' }, { retryable: false })).toMatchObject({
      ok: true,
      value: { status: 'failed', error: { code: 'data_invalid', attempt: 1 } },
    });
  });

  it('is given again to the process that asks again, and a process started anew gets a new one', async () => {
    const { ledger, stub } = await newJob();
    const [row] = await inLedger(stub, 'SELECT id FROM dispatches');
    const dispatch = String(row?.id);
    const process = { nonce: 'n'.repeat(16) };
    const first = unwrap(await ledger.claim(worker1, dispatch, process));
    expect(unwrap(await ledger.claim(worker1, dispatch, process))).toEqual({
      ...first,
      remaining_s: expect.any(Number),
    });
    expect(await ledger.claim(randomId('wkr'), dispatch, process)).toMatchObject({ code: 'job_busy' });
    await loseLease(stub);
    expect(unwrap(await ledger.claim(worker1, dispatch, process))).toMatchObject({ fence: first.fence, attempt: 1 });
    const anew = unwrap(await ledger.claim(worker1, dispatch, { nonce: 'm'.repeat(16) }));
    expect(anew).toMatchObject({ attempt: 2 });
    expect(await ledger.heartbeat({ worker: worker1, fence: first.fence }, null)).toMatchObject({
      code: 'fence_stale',
    });
    expect(await ledger.heartbeat({ worker: worker1, fence: anew.fence }, null)).toMatchObject({ ok: true });
  });

  it('that failed by a fault of its host is not counted, and that worker does not get the job again', async () => {
    const { ledger, stub } = await newJob({ max_attempts: 1 });
    const full = { code: 'disk_full', detail: 'no space left on device' };
    for (let n = 1; n <= 5; n += 1) {
      const worker = randomId('wkr');
      const newest = async () =>
        String((await inLedger(stub, "SELECT state ->> '$.dispatch.id' AS id FROM job"))[0]?.id);
      const { fence } = unwrap(await ledger.claim(worker, await newest()));
      const failed = unwrap(await ledger.fail({ worker, fence }, full, { retryable: true, host: true }));
      expect(failed).toMatchObject({ status: n < 5 ? 'queued' : 'failed', error: { code: 'disk_full' } });
      if (n < 5) {
        const before = await newest();
        expect(await ledger.claim(worker, before)).toMatchObject({ code: 'worker_refused' });
        expect(await newest()).not.toBe(before);
      }
    }
  });

  it('that outgrew a small worker goes to a larger one, whose word on memory is final', async () => {
    const { terms, ledger, stub } = await newJob({ max_attempts: 1, pool: randomId('pool') });
    const newest = async () => String((await inLedger(stub, "SELECT state ->> '$.dispatch.id' AS id FROM job"))[0]?.id);
    const [small, large] = [randomId('wkr'), randomId('wkr')];
    await dispatcherOf(env, { pool: terms.pool ?? '', lane: 'batch' }).claimed(randomId('job'), large, 2e9);
    const grown = { code: 'memory_exceeded', detail: 'beyond the limit' };
    const first = unwrap(await ledger.claim(small, await newest(), { memory_bytes: 1e9 }));
    expect(unwrap(await ledger.fail({ worker: small, fence: first.fence }, grown, { retryable: false }))).toMatchObject(
      { status: 'queued' },
    );
    const alike = await ledger.claim(randomId('wkr'), await newest(), { memory_bytes: 1e9 });
    expect(alike).toMatchObject({ code: 'worker_refused' });
    const second = unwrap(await ledger.claim(large, await newest(), { memory_bytes: 2e9 }));
    expect(
      unwrap(await ledger.fail({ worker: large, fence: second.fence }, grown, { retryable: false })),
    ).toMatchObject({ status: 'failed', error: { code: 'memory_exceeded', attempt: 2 } });
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
    expect(await ledger.fail(by, { code: 'internal', detail: '' }, { retryable: true })).toMatchObject({
      code: 'conflict',
    });
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

  it('goes to the next attempt, and a stale attempt changes nothing of it', async () => {
    const { terms, ledger, stub, by, dispatch } = await heldJob();
    const first = { state: { tokens: 1 }, blobs: [blobOf('a'), blobOf('b')] };
    expect(await ledger.checkpoint(by, first)).toMatchObject({ ok: true });
    expect(await ledger.checkpoint({ ...by, worker: randomId('wkr') }, first)).toMatchObject({ code: 'fence_stale' });
    await loseLease(stub);
    const stale = { state: { tokens: 9 }, blobs: [blobOf('z')] };
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
      await ledger.fail(by, { code: 'data_invalid', detail: '' }, { retryable: false });
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
