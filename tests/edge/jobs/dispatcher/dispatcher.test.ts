import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { unwrap } from '../../../../edge/jobs/answer.ts';
import { dispatcherOf } from '../../../../edge/jobs/dispatcher/dispatcher-of.ts';
import { ledgerOf } from '../../../../edge/jobs/ledger-of.ts';
import { randomId } from '../../../../shared/signing/digest.ts';
import { until } from '../../../support/until.ts';
import { newClient, problemOf } from '../../support/client.ts';

const batch = (pool: string) => ({ pool, lane: 'batch' as const });
const sent = (pool: string) =>
  runInDurableObject(env.DISPATCHER.getByName(pool), (_, state) =>
    state.storage.sql
      .exec<{ job: string; tenant: string; dispatch: string }>(
        "SELECT job, tenant, dispatch FROM jobs WHERE state = 'sent' ORDER BY sent_at, rowid",
      )
      .toArray(),
  );
const waitingOf = (tenant: string, n: number, cost = 1) =>
  Array.from({ length: n }, (_, i) => ({
    job: randomId('job'),
    dispatch: randomId('dsp'),
    tenant,
    cost,
    since: 1000 + i,
  }));

describe('the dispatcher', () => {
  it('lets a new tenant start among the next workers + 1, and sends one message per worker at most', async () => {
    const [a, b] = [await newClient(), await newClient()];
    const post = async (client: typeof a, key: string) => {
      const body = { type: 'diagnostics.run', params: { steps: 1 }, pool: 'turns' };
      const answer = await client.call('POST', '/v1/jobs', { body, headers: { 'idempotency-key': key } });
      return (await answer.json<{ id: string }>()).id;
    };
    for (let i = 0; i < 12; i += 1) {
      await post(a, `a${i}`);
    }
    expect(await sent('turns')).toEqual([]);
    const workers = [randomId('wkr'), randomId('wkr')];
    for (const worker of workers) {
      await dispatcherOf(env, batch('turns')).announce(worker, null);
    }
    await until(async () => (await sent('turns')).length === 2, 'two messages');

    const job = await post(b, 'b');
    const shown = await b.call('GET', `/v1/jobs/${job}`);
    expect((await shown.json<{ queue: unknown }>()).queue).toMatchObject({
      ahead: 0,
      expected_start: expect.any(String),
    });
    const last = await a.call('GET', '/v1/jobs?limit=1');
    expect(await last.json()).toMatchObject({ data: [{ status: 'queued' }] });

    const started: string[] = [];
    while (!started.includes(job)) {
      await until(async () => (await sent('turns')).length > 0, 'a message');
      const messages = await sent('turns');
      expect(messages.length).toBeLessThanOrEqual(workers.length);
      const [next] = messages;
      if (!next) {
        break;
      }
      unwrap(await ledgerOf(env, next.job).claim(workers[started.length % 2] ?? '', next.dispatch));
      started.push(next.job);
      await until(async () => !(await sent('turns')).some((one) => one.job === next.job), 'the claim to be noted');
    }
    expect(started.length).toBeLessThanOrEqual(workers.length + 1);
    for (const worker of workers) {
      await dispatcherOf(env, batch('turns')).leave(worker);
    }
  });

  it('keeps 20,000 waiting jobs through its end, and knows the place of each', async () => {
    const pool = env.DISPATCHER.getByName('many');
    const many = dispatcherOf(env, batch('many'));
    const rows = waitingOf('a', 20_000);
    for (let i = 0; i < rows.length; i += 500) {
      await many.enqueue(...rows.slice(i, i + 500));
    }
    const [mine] = waitingOf('b', 1);
    if (!mine) {
      throw new Error('no job');
    }
    await many.enqueue(mine);
    await evictDurableObject(pool).catch(() => {});
    expect(await many.state()).toMatchObject({ waiting: 20_001, sent: 0, running: 0 });
    expect(await many.place(mine.job)).toEqual({ ahead: 1, expected_start: null });
    expect(await many.place(rows[15_000]?.job ?? '')).toMatchObject({ ahead: 15_001 });
    await many.enqueue(...rows.slice(0, 100));
    expect(await many.state()).toMatchObject({ waiting: 20_001 });
  });

  it('sends a lost message again only while a worker has nothing to do, and forgets what has ended', async () => {
    const client = await newClient();
    const body = { type: 'diagnostics.run', params: {}, pool: 'lost' };
    const answer = await client.call('POST', '/v1/jobs', { body, headers: { 'idempotency-key': 'lost' } });
    const { id } = await answer.json<{ id: string }>();
    const worker = randomId('wkr');
    await dispatcherOf(env, batch('lost')).announce(worker, null);
    await until(async () => (await sent('lost')).some(({ job }) => job === id), 'the message');
    const sends = (job: string) =>
      runInDurableObject(
        env.DISPATCHER.getByName('lost'),
        (_, state) =>
          state.storage.sql.exec<{ sends: number }>('SELECT sends FROM jobs WHERE job = ?', job).toArray()[0]?.sends,
      );
    await runInDurableObject(env.DISPATCHER.getByName('lost'), (_, state) => {
      state.storage.sql.exec('UPDATE jobs SET sent_at = 1 WHERE job = ?', id);
    });
    await dispatcherOf(env, batch('lost')).announce(worker, null);
    // it has only just become free: somebody may be on the way to the message
    expect(await sends(id)).toBe(1);
    await runInDurableObject(env.DISPATCHER.getByName('lost'), (_, state) => {
      state.storage.sql.exec('UPDATE live SET idle_at = 1');
    });
    await dispatcherOf(env, batch('lost')).announce(worker, null);
    await until(async () => (await sends(id)) === 2, 'the second message');
    await client.call('POST', `/v1/jobs/${id}/cancel`);
    await until(async () => (await sends(id)) === undefined, 'the end to be known');
    await dispatcherOf(env, batch('lost')).leave(worker);
  });

  it('knows the pools there are', async () => {
    const client = await newClient();
    const body = { type: 'diagnostics.run', params: {}, pool: 'nowhere' };
    const problem = await problemOf(
      await client.call('POST', '/v1/jobs', { body, headers: { 'idempotency-key': 'p' } }),
    );
    expect(problem).toMatchObject({ status: 422, errors: [{ pointer: '/pool', code: 'pool_unknown' }] });
  });

  it('takes back the times that a clock which ran a day ahead has left', async () => {
    const name = 'clocks';
    const [job] = waitingOf('ahead', 1);
    const dispatcher = dispatcherOf(env, batch(name));
    await dispatcher.enqueue(job!);
    const day = 25 * 3_600_000;
    const times = () =>
      runInDurableObject(env.DISPATCHER.getByName(name), (_, { storage }) =>
        storage.sql
          .exec<{ at: number }>(
            'SELECT sent_at AS at FROM jobs UNION ALL SELECT seen_at FROM live UNION ALL SELECT idle_at FROM live',
          )
          .toArray()
          .map(({ at }) => at),
      );
    await runInDurableObject(env.DISPATCHER.getByName(name), (_, { storage }) => {
      const then = Date.now() + day;
      storage.sql.exec("UPDATE jobs SET state = 'sent', sends = 1, sent_at = ?", then);
      storage.sql.exec('INSERT INTO live VALUES (?, ?, NULL, ?)', randomId('wkr'), then, then);
    });
    await dispatcher.ended(randomId('job'));
    await until(async () => Math.max(...(await times())) <= Date.now(), 'the times to be of now');
    expect(await dispatcher.state()).toMatchObject({ sent: 1, workers: 1 });
  });
});
