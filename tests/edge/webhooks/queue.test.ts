/** When an endpoint is given up: at once for 410, else after five days without a success. The receivers are played here. */
import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { GIVE_UP_MS } from '../../../edge/webhooks/schedule.ts';
import { until } from '../../support/until.ts';
import { type Client, newClient } from '../support/client.ts';

/** What each receiver answers; an address by its number needs no resolver. */
const answers = new Map<string, number>();
const heard: { host: string; type: string; data: unknown }[] = [];
beforeEach(() => {
  answers.clear();
  heard.length = 0;
  vi.stubGlobal('fetch', async (input: URL | string, init: RequestInit) => {
    const { host } = new URL(input);
    const status = answers.get(host);
    if (status === undefined) {
      throw new TypeError(`nobody answers at ${host}`);
    }
    heard.push({ host, ...(JSON.parse(String(init.body)) as { type: string; data: unknown }) });
    return new Response(null, { status });
  });
});
afterEach(() => vi.unstubAllGlobals());

const create = async (client: Client, host: string, events: string[]): Promise<string> => {
  const answer = await client.call('POST', '/v1/webhook-endpoints', { body: { address: `https://${host}/`, events } });
  return (await answer.json<{ id: string }>()).id;
};
const view = async (client: Client, id: string) =>
  (await client.call('GET', `/v1/webhook-endpoints/${id}`)).json<{
    disabled_at: string | null;
    disabled_reason: string;
  }>();
type Delivery = { id: string; type: string; state: string; attempts: { status: number | null; detail: string }[] };
const deliveries = async (client: Client, id: string) =>
  (await (await client.call('GET', `/v1/webhook-endpoints/${id}/deliveries`)).json<{ data: Delivery[] }>()).data;
const queue = (id: string) => env.DELIVERIES.getByName(id);
const failingSince = (id: string, change?: number) =>
  runInDurableObject(queue(id), (_, { storage }) => {
    if (change !== undefined) {
      storage.sql.exec('UPDATE queue SET failing_since = ?', change);
    }
    return storage.sql.exec<{ failing_since: number | null }>('SELECT failing_since FROM queue').one().failing_since;
  });
/** Sends a test event, and answers once it was tried. */
async function tried(client: Client, id: string): Promise<Delivery> {
  const before = (await deliveries(client, id)).length;
  await client.call('POST', `/v1/webhook-endpoints/${id}/test`);
  await until(async () => {
    await runDurableObjectAlarm(queue(id));
    const [newest] = await deliveries(client, id);
    return (await deliveries(client, id)).length > before && (newest?.attempts.length ?? 0) > 0;
  }, 'an attempt');
  return (await deliveries(client, id))[0] as Delivery;
}
const audit = async (client: Client) =>
  (
    await (
      await client.call('GET', '/v1/audit?action=endpoint.disable')
    ).json<{
      data: { actor: string; target: string }[];
    }>()
  ).data;

describe('an endpoint', () => {
  it('is disabled after five days without a success, tells the others, and gets nothing more', async () => {
    const client = await newClient();
    answers.set('203.0.114.1', 503);
    answers.set('203.0.114.2', 204);
    const dead = await create(client, '203.0.114.1', ['*']);
    const other = await create(client, '203.0.114.2', ['endpoint.disabled']);
    expect(await tried(client, dead)).toMatchObject({ state: 'waiting', attempts: [{ status: 503 }] });
    const since = await failingSince(dead);
    expect(Date.now() - (since ?? 0)).toBeLessThan(60_000);

    // a minute less than five days ago: it is tried on
    await failingSince(dead, Date.now() - GIVE_UP_MS + 60_000);
    await tried(client, dead);
    expect((await view(client, dead)).disabled_at).toBeNull();

    await failingSince(dead, Date.now() - GIVE_UP_MS);
    await tried(client, dead);
    await until(async () => (await view(client, dead)).disabled_at !== null, 'it to be disabled');
    expect((await view(client, dead)).disabled_reason).toBe('failing');
    expect((await deliveries(client, dead)).map(({ state }) => state)).toEqual(['failed', 'failed', 'failed']);
    await until(() => heard.some(({ host }) => host === '203.0.114.2'), 'the event');
    expect(heard.filter(({ host }) => host === '203.0.114.2')).toMatchObject([
      { type: 'endpoint.disabled', data: { id: dead, reason: 'failing' } },
    ]);
    expect(await audit(client)).toMatchObject([{ actor: 'service', target: dead }]);
    expect((await view(client, other)).disabled_at).toBeNull();

    // enabled again, it has its five days again
    await client.call('PATCH', `/v1/webhook-endpoints/${dead}`, { body: { disabled: false } });
    await tried(client, dead);
    expect((await view(client, dead)).disabled_at).toBeNull();
  });

  it('that takes one delivery within the five days has them again', async () => {
    const client = await newClient();
    answers.set('203.0.114.3', 500);
    const id = await create(client, '203.0.114.3', ['*']);
    await tried(client, id);
    await failingSince(id, Date.now() - GIVE_UP_MS + 60_000);
    answers.set('203.0.114.3', 200);
    expect(await tried(client, id)).toMatchObject({ state: 'delivered' });
    expect(await failingSince(id)).toBeNull();
    answers.delete('203.0.114.3');
    await tried(client, id);
    expect(Date.now() - ((await failingSince(id)) ?? 0)).toBeLessThan(60_000);
    expect((await view(client, id)).disabled_at).toBeNull();
  });

  it('that answers 410 is disabled at once', async () => {
    const client = await newClient();
    answers.set('203.0.114.4', 410);
    const id = await create(client, '203.0.114.4', ['*']);
    await tried(client, id);
    await until(async () => (await view(client, id)).disabled_reason === 'gone', 'it to be disabled');
    expect(await audit(client)).toMatchObject([{ actor: 'service', target: id }]);
  });

  it('shows what waits to the operator, and nothing once it has arrived', async () => {
    const client = await newClient();
    const operator = await newClient({ scopes: ['operator'] });
    const due = async () =>
      Number(/^sextant_deliveries_due (\d+)$/m.exec(await (await operator.call('GET', '/v1/metrics')).text())?.[1]);
    await env.DB.prepare('DELETE FROM delivery_queues').run();
    answers.set('203.0.114.5', 500);
    const id = await create(client, '203.0.114.5', ['*']);
    const { id: delivery } = await tried(client, id);
    await until(async () => (await due()) === 1, 'one to wait');
    answers.set('203.0.114.5', 200);
    await client.call('POST', `/v1/webhook-endpoints/${id}/deliveries/${delivery}/redeliver`);
    await until(async () => (await due()) === 0, 'none to wait');
  });

  it('that answers one byte a second is done with at its status: the rest is never read', async () => {
    const client = await newClient();
    let read = 0;
    let canceled = false;
    vi.stubGlobal('fetch', async () => {
      const body = new ReadableStream<Uint8Array>({
        async pull(controller) {
          read += 1;
          await new Promise((resolve) => setTimeout(resolve, 1000));
          controller.enqueue(new Uint8Array([46]));
        },
        cancel: () => {
          canceled = true;
        },
      });
      return new Response(body, { status: 200 });
    });
    const id = await create(client, '203.0.114.6', ['*']);
    expect(await tried(client, id)).toMatchObject({ state: 'delivered', attempts: [{ status: 200 }] });
    expect(read).toBeLessThanOrEqual(1);
    expect(canceled).toBe(true);
  });
});
