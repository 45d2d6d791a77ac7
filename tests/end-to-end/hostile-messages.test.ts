/** What someone who can write to the queues, or holds a worker's key, can do: nothing to a job that is not theirs. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { MESSAGE_TYP } from '../../shared/contracts/worker-call.ts';
import { randomId } from '../../shared/signing/digest.ts';
import { signEnvelope } from '../../shared/signing/envelope.ts';
import { signMessage } from '../../shared/signing/message.ts';
import { newSigningKey } from '../support/signing-key.ts';
import { until } from '../support/until.ts';
import { Stack } from './support/stack.ts';

const stack = new Stack({ retries: 1 });
beforeAll(() => stack.start(), 120_000);
afterEach(() => stack.stopWorkers());
afterAll(() => stack.stop());

const now_s = () => Date.now() / 1000;
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const contentFor = (sub: string, jti = randomId('dsp')) => ({
  sub,
  jti,
  type: 'diagnostics.run',
  input_digest: 'c'.repeat(64),
  params: { steps: 1 },
});

describe('messages that the edge did not sign for this dispatch', () => {
  it('are refused by the worker, end as dead letters and touch no job', async () => {
    const victim = await stack.post({ steps: 30, step_ms: 200 });
    const genuine = await stack.messageOf(victim);
    const [header = '', payload = '', signature = ''] = genuine.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
    const stranger = await newSigningKey('edge-1');
    const unknown = await newSigningKey('edge-9');
    const iat = Math.floor(now_s());
    const forged = {
      tampered: [header, encode({ ...claims, params: { steps: 1_000_000 } }), signature].join('.'),
      unsigned: `${encode({ alg: 'none', typ: MESSAGE_TYP, kid: 'edge-1' })}.${payload}.`,
      'wrong audience': await signEnvelope(stack.signingKey, MESSAGE_TYP, { ...claims, aud: 'someone-else' }),
      expired: await signEnvelope(stack.signingKey, MESSAGE_TYP, { ...claims, iat: iat - 1000, exp: iat - 900 }),
      'another key': await signMessage(stranger, contentFor(victim, claims.jti as string), now_s()),
      'unknown key': await signMessage(unknown, contentFor(victim, claims.jti as string), now_s()),
    };
    const worker = await stack.startWorker();
    await worker.logged('claimed', victim);
    for (const jws of Object.values(forged)) {
      await stack.send({ jws });
    }
    for (const body of [{}, { jws: 'x' }, { jws: 1 }, ['jws'], 'text']) {
      await stack.send(body);
    }
    // the victim runs on while every forgery goes through a second worker and the dead-letter queue
    const other = await stack.startWorker();
    // each is delivered twice, but for the unknown key: that one waits until the key set may be asked again
    await until(() => other.count('refused') === 2 * 10 && other.count('postponed') === 1, 'the refusals');
    expect(other.count('claimed')).toBe(0);
    const job = await stack.ended(victim);
    expect(job).toMatchObject({ status: 'succeeded', attempt: 1, result: { steps: 30 } });
    await stack.assertSingleCompletion(victim);
  });

  it('cannot claim when their dispatch was never issued, though the signature is right', async () => {
    const id = await stack.post();
    const drained = await stack.delivered();
    await stack.gateway('ack', { acks: drained });
    await stack.send({ jws: await signMessage(stack.signingKey, contentFor(id), now_s()) });
    const worker = await stack.startWorker();
    await until(() => worker.events.some(({ reason }) => reason === 'dispatch_unknown'), 'the refusal');
    expect(await stack.ended(id)).toMatchObject({ status: 'succeeded', attempt: 1 });
  });
});

it('a replayed message of a finished job is acknowledged and changes nothing', async () => {
  const id = await stack.post();
  const jws = await stack.messageOf(id);
  const worker = await stack.startWorker();
  await stack.reached(id, 'succeeded');
  const before = await stack.job(id);
  for (let i = 0; i < 3; i += 1) {
    await stack.send({ jws });
  }
  await until(() => worker.events.filter(({ reason }) => reason === 'job_terminal').length >= 3, 'the replays');
  expect(await stack.job(id)).toEqual(before);
});

describe('dead letters', () => {
  it('fail a job that still waits for exactly that dispatch', async () => {
    const id = await stack.post();
    for (let i = 0; i < 2; i += 1) {
      const messages = await stack.delivered();
      await stack.gateway('ack', { retries: messages.map(({ lease_id }) => ({ lease_id, delay_seconds: 0 })) });
    }
    expect(await stack.ended(id)).toMatchObject({ status: 'failed', error: { code: 'dead_letter' } });
  });
});
