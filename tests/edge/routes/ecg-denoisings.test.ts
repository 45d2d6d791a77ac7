/** POST /v1/ecg/denoisings: what it takes, the job it makes, and what is too large for it. */
import { describe, expect, it } from 'vitest';
import { jobSchema } from '../../../shared/contracts/job.ts';
import { type Client, newClient, problemOf } from '../support/client.ts';

let keys = 0;
const post = (client: Client, body: unknown, { key = `ecg-${++keys}`, prefer = '' } = {}) =>
  client.call('POST', '/v1/ecg/denoisings', {
    body,
    headers: { ...(key ? { 'idempotency-key': key } : {}), ...(prefer ? { prefer } : {}) },
  });
const lead = (name: string, n: number) => ({ name, samples: Array.from({ length: n }, (_, i) => Math.round(i % 90)) });
const record = (n = 100, leads = 1, rate_hz = 250) => ({
  rate_hz,
  unit: 'uV',
  leads: Array.from({ length: leads }, (_, i) => lead(`${i}`, n)),
});

describe('POST /v1/ecg/denoisings', () => {
  it('makes a job of type ecg.denoise, once per key, whose result is gone after a day', async () => {
    const client = await newClient();
    const answer = await post(client, record(), { key: 'same' });
    expect(answer.status).toBe(202);
    const job = jobSchema.parse(await answer.json());
    expect(job).toMatchObject({ type: 'ecg.denoise', status: 'queued' });
    expect(answer.headers.get('location')).toBe(`/v1/jobs/${job.id}`);
    const again = await post(client, record(), { key: 'same' });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await again.json()).toMatchObject({ id: job.id });
    await client.call('POST', `/v1/jobs/${job.id}/cancel`);
    const ended = jobSchema.parse(await (await client.call('GET', `/v1/jobs/${job.id}`)).json());
    expect(Date.parse(ended.expires_at!) - Date.parse(ended.ended_at!)).toBe(24 * 3_600_000);
  });

  it('takes a minute of two leads at 2,000 Hz, and answers 413 with the job for more', async () => {
    const client = await newClient();
    expect((await post(client, record(120_000, 2, 2000))).status).toBe(202);
    for (const larger of [record(120_001, 1, 2000), record(100, 3)]) {
      const problem = await problemOf(await post(client, larger));
      expect(problem).toMatchObject({ code: 'computation_too_large', status: 413, job_type: 'ecg.denoise' });
    }
    const padded = `${JSON.stringify(record())}${' '.repeat(8 * 2 ** 20)}`;
    const headers = { 'content-type': 'application/json', 'idempotency-key': 'padded' };
    const problem = await problemOf(await client.call('POST', '/v1/ecg/denoisings', { body: padded, headers }));
    expect(problem).toMatchObject({ code: 'body_too_large', status: 413, job_type: 'ecg.denoise' });
  });

  it('refuses what nobody means', async () => {
    const client = await newClient();
    for (const changes of [
      { rate_hz: 0 },
      { rate_hz: 50_000 },
      { unit: 'furlong' },
      { leads: [] },
      { leads: [lead('I', 1)] },
    ]) {
      expect((await problemOf(await post(client, { ...record(), ...changes }))).code).toBe('validation_failed');
    }
  });

  it('makes a job of its own for each request without a key', async () => {
    const client = await newClient();
    const jobs = [await post(client, record(), { key: '' }), await post(client, record(), { key: '' })];
    expect(jobs.map(({ status }) => status)).toEqual([202, 202]);
    const [first, second] = await Promise.all(jobs.map(async (job) => jobSchema.parse(await job.json()).id));
    expect(first).not.toBe(second);
  });
});
