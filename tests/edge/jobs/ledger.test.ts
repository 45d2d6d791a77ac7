import { createExecutionContext, createMessageBatch, getQueueResult, runDurableObjectAlarm } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import worker from '../../../edge/index.ts';
import { ledgerOf } from '../../../edge/jobs/ledger-of.ts';
import { signingKeys } from '../../../edge/workers/signing-keys.ts';
import { randomId } from '../../../shared/signing/digest.ts';
import { signMessage } from '../../../shared/signing/message.ts';
import { newJob, rows, worker1 } from '../support/ledger-jobs.ts';

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
