/** Two lines in each pool, and the bells that tell workers of what is on their queues. */
import { runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { dispatcherOf } from '../../../../edge/jobs/dispatcher/dispatcher-of.ts';
import { INSERT_WORKER, mintWorker, workerValues } from '../../../../edge/keys/mint.ts';
import type { Lane } from '../../../../shared/contracts/lane.ts';
import { RING } from '../../../../shared/contracts/worker-call.ts';
import { signWorkerCall } from '../../../../shared/signing/worker-call.ts';
import { until } from '../../../support/until.ts';
import { type Client, newClient } from '../../support/client.ts';

const POOL = 'bells';
const post = async (client: Client, key: string, lane: Lane, pool = POOL): Promise<string> => {
  const body = { type: 'diagnostics.run', params: { steps: 1, step_ms: 0, lane }, pool };
  const answer = await client.call('POST', '/v1/jobs', { body, headers: { 'idempotency-key': key } });
  expect(answer.status).toBe(202);
  return (await answer.json<{ id: string }>()).id;
};
const newWorker = async (pool = POOL) => {
  const { row, privateJwk } = await mintWorker({ pool, now: Date.now() });
  await env.DB.prepare(INSERT_WORKER)
    .bind(...workerValues(row))
    .run();
  return { id: row.id, key: { kid: row.id, jwk: privateJwk } };
};
type Worker = Awaited<ReturnType<typeof newWorker>>;
/** Opens a bell as a worker does; `rings` grows with what is heard. */
async function openBell({ key }: Worker, lane: string, signedFor = lane) {
  const path = `/internal/workers/bell/${signedFor}`;
  const call = { method: 'GET', path, body: new Uint8Array(), fence: null };
  const authorization = await signWorkerCall(key, call, Date.now() / 1000);
  const answer = await exports.default.fetch(`https://edge/internal/workers/bell/${lane}`, {
    headers: { upgrade: 'websocket', authorization },
  });
  const rings: unknown[] = [];
  const socket = answer.webSocket;
  socket?.accept();
  socket?.addEventListener('message', ({ data }) => rings.push(data));
  return { status: answer.status, socket, rings };
}
const stateOf = (lane: Lane) => dispatcherOf(env, { pool: POOL, lane }).state();

describe('the two lanes of a pool', () => {
  it('have a line each: a job that somebody waits for stands behind no other', async () => {
    const client = await newClient();
    const others: string[] = [];
    for (let i = 0; i < 3; i += 1) {
      others.push(await post(client, `batch-${i}`, 'batch'));
    }
    const job = await post(client, 'now', 'interactive');
    const shown = await client.call('GET', `/v1/jobs/${job}`);
    expect(await shown.json()).toMatchObject({ status: 'queued', queue: { ahead: 0 } });
    expect(await stateOf('interactive')).toMatchObject({ waiting: 1, workers: 0 });
    expect(await stateOf('batch')).toMatchObject({ waiting: 3 });
    // a pool with one queue has one line
    const alone = await post(client, 'alone', 'interactive', 'turns');
    expect(await dispatcherOf(env, { pool: 'turns', lane: 'batch' }).place(alone)).not.toBeNull();
    for (const id of [...others, job, alone]) {
      await client.call('POST', `/v1/jobs/${id}/cancel`);
    }
    await until(async () => (await stateOf('batch')).waiting === 0, 'the lines to be empty');
  });

  it('put on the queue what their workers begin at once: one batch job for each, four that somebody waits for', async () => {
    const client = await newClient();
    const jobs: string[] = [];
    for (const [lane, most] of [
      ['batch', 1],
      ['interactive', 4],
    ] as const) {
      const { id } = await newWorker();
      const dispatcher = dispatcherOf(env, { pool: POOL, lane });
      await dispatcher.announce(id, null);
      for (let i = 0; i < 6; i += 1) {
        jobs.push(await post(client, `${lane}-among-six-${i}`, lane));
      }
      await until(async () => (await dispatcher.state()).sent === most, 'the messages to be sent');
      expect(await dispatcher.state()).toMatchObject({ waiting: 6 - most, sent: most, workers: 1 });
      await dispatcher.leave(id);
    }
    for (const id of jobs) {
      await client.call('POST', `/v1/jobs/${id}/cancel`);
    }
    await until(async () => (await stateOf('interactive')).waiting === 0, 'the lines to be empty');
  });
});

describe('a bell', () => {
  it('rings for an idle worker of the lane when something was queued, and carries nothing else', async () => {
    const client = await newClient();
    const [one, other] = [await newWorker(), await newWorker()];
    const [first, second] = [await openBell(one, 'interactive'), await openBell(other, 'interactive')];
    const elsewhere = await openBell(one, 'batch');
    expect([first.status, second.status, elsewhere.status]).toEqual([101, 101, 101]);
    elsewhere.rings.length = 0;
    await post(client, 'a', 'interactive');
    await until(() => first.rings.length + second.rings.length === 1, 'the first ring');
    await post(client, 'b', 'interactive');
    // the second message wakes the other worker
    await until(() => first.rings.length === 1 && second.rings.length === 1, 'the second ring');
    expect([...first.rings, ...second.rings]).toEqual([RING, RING]);
    expect(elsewhere.rings).toEqual([]);
  });

  it('lets the worker announce itself, and closes when something else is said over it', async () => {
    const worker = await newWorker();
    const { socket } = await openBell(worker, 'batch');
    const live = () =>
      runInDurableObject(env.DISPATCHER.getByName(POOL), (_, { storage }) =>
        storage.sql.exec<{ job: string | null }>('SELECT job FROM live WHERE worker = ?', worker.id).toArray(),
      );
    await until(async () => (await live()).length === 1, 'the worker to be there');
    const job = `job_${'a'.repeat(26)}`;
    socket?.send(JSON.stringify({ job, lane: 'batch' }));
    await until(async () => (await live())[0]?.job === job, 'its job');
    socket?.send(JSON.stringify({ job: null, leaving: true, lane: 'batch' }));
    await until(async () => (await live()).length === 0, 'it to be gone');
    const closed = new Promise((resolve) => socket?.addEventListener('close', resolve));
    socket?.send('{"dispatch": "mine"}');
    await closed;
  });

  it('is opened by a registered worker that signed for this lane, and by nobody else', async () => {
    const worker = await newWorker();
    const { key: forged } = await newWorker();
    expect((await openBell({ ...worker, key: { ...forged, kid: worker.id } }, 'batch')).status).toBe(401);
    expect((await openBell(worker, 'batch', 'interactive')).status).toBe(401);
    expect((await openBell(worker, 'nowhere')).status).toBe(404);
    expect((await openBell(await newWorker('turns'), 'interactive')).status).toBe(409);
    const unsigned = await exports.default.fetch('https://edge/internal/workers/bell/batch', {
      headers: { upgrade: 'websocket' },
    });
    expect(unsigned.status).toBe(401);
  });
});
