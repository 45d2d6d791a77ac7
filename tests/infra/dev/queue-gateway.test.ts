/** The development gateway has the shapes and habits that Cloudflare documents for pull consumers. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { QUEUES_TOKEN, Stack } from '../../end-to-end/support/stack.ts';
import { until } from '../../support/until.ts';

const stack = new Stack({ retries: 2 });
beforeAll(() => stack.start(), 120_000);
afterAll(() => stack.stop());

type Pulled = {
  message_backlog_count: number;
  messages: { id: string; body: string; attempts: number; lease_id: string; timestamp_ms: number; metadata: object }[];
  metadata: { metrics: { backlog_count: number; backlog_bytes: number; oldest_message_timestamp_ms: number } };
};
const pull = async (visibility_timeout_ms = 60_000, batch_size = 100): Promise<Pulled> =>
  (await stack.gateway('pull', { batch_size, visibility_timeout_ms })).result as Pulled;
async function next(visibility_timeout_ms?: number): Promise<Pulled['messages'][number]> {
  for (;;) {
    const { messages } = await pull(visibility_timeout_ms, 1);
    if (messages[0]) {
      return messages[0];
    }
    await sleep(50);
  }
}
const ack = async (body: unknown) => (await stack.gateway('ack', body)).result as Record<string, unknown>;
const contentOf = ({ body }: { body: string }): unknown => JSON.parse(Buffer.from(body, 'base64').toString());

it('hands out JSON in base64 with attempts, a lease and metrics', async () => {
  await stack.send({ text: 'ä€' });
  const message = await next();
  expect(contentOf(message)).toEqual({ text: 'ä€' });
  expect(message).toMatchObject({ attempts: 1, metadata: { 'CF-Content-Type': 'json' } });
  expect(Math.abs(message.timestamp_ms - Date.now())).toBeLessThan(60_000);
  const empty = await pull();
  expect(empty).toMatchObject({ messages: [], message_backlog_count: 1, metadata: { metrics: { backlog_count: 1 } } });
  expect(await ack({ acks: [{ lease_id: message.lease_id }] })).toEqual({ ackCount: 1, retryCount: 0, warnings: {} });
  expect((await pull()).message_backlog_count).toBe(0);
});

it('shows a message again after its visibility time, and accepts a late acknowledgement of the first lease', async () => {
  await stack.send({ n: 1 });
  const first = await next(200);
  expect((await pull(200, 1)).messages).toEqual([]);
  const second = await next(60_000);
  expect(second).toMatchObject({ id: first.id, attempts: 2 });
  expect(second.lease_id).not.toBe(first.lease_id);
  expect(await ack({ acks: [{ lease_id: first.lease_id }] })).toMatchObject({ ackCount: 1 });
  expect((await pull()).message_backlog_count).toBe(0);
  expect(await ack({ acks: [{ lease_id: second.lease_id }] })).toMatchObject({
    ackCount: 0,
    warnings: { [second.lease_id]: expect.any(String) },
  });
});

it('delays retries as asked', async () => {
  await stack.send({ n: 2 });
  const { lease_id } = await next();
  expect(await ack({ retries: [{ lease_id, delay_seconds: 1 }] })).toMatchObject({ retryCount: 1 });
  expect((await pull()).messages).toEqual([]);
  const again = await next();
  expect(again.attempts).toBe(2);
  await ack({ acks: [again] });
});

it('gives a message up after its retries, in favour of a queue that the edge consumes', async () => {
  const id = await stack.post();
  await stack.announcePlayed();
  for (let attempts = 1; attempts <= 3; attempts += 1) {
    const message = await next();
    expect(message.attempts).toBe(attempts);
    await ack({ retries: [{ lease_id: message.lease_id, delay_seconds: 0 }] });
  }
  expect(await stack.ended(id)).toMatchObject({ status: 'failed', error: { code: 'dead_letter' } });
  await until(async () => (await pull()).message_backlog_count === 0, 'the queue to be empty');
});

it('refuses a wrong token, and values outside the documented limits', async () => {
  const address = `${stack.edge.url}/client/v4/accounts/a/queues/sextant-jobs/messages`;
  const send = (action: string, token: string, body: unknown) =>
    fetch(`${address}/${action}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    });
  expect((await send('pull', 'wrong', {})).status).toBe(403);
  expect((await send('pull', QUEUES_TOKEN, { batch_size: 101 })).status).toBe(400);
  expect((await send('pull', QUEUES_TOKEN, { visibility_timeout_ms: 43_200_001 })).status).toBe(400);
  expect((await send('ack', QUEUES_TOKEN, { retries: [{ lease_id: 'x', delay_seconds: 1e6 }] })).status).toBe(400);
  expect((await send('peek', QUEUES_TOKEN, {})).status).toBe(404);
});
