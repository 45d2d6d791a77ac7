/** Endpoints against real receivers: taken, refused, hanging, gone; judged by a resolver on this machine. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decode, encode } from '@dnsquery/dns-packet';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WEBHOOK_EVENTS } from '../../shared/contracts/webhook-event.ts';
import { until } from '../support/until.ts';
import { Stack } from './support/stack.ts';

type Received = { path: string; headers: Record<string, string>; body: string };
const received: Received[] = [];
/** What names resolve to. */
const NAMES: Record<string, string[]> = {
  'loopback.customer.dev': ['127.0.0.1'],
  'metadata.customer.dev': ['169.254.169.254'],
  'half.customer.dev': ['93.184.215.14', '10.0.0.1'],
  'six.customer.dev': ['fd00::1'],
  'mapped.customer.dev': ['::ffff:127.0.0.1'],
  'translated.customer.dev': ['64:ff9b::7f00:1'],
};
const servers: Server[] = [];
let address = '';
let resolver = '';
let stack: Stack;

async function listen(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function receive(request: IncomingMessage, response: ServerResponse): void {
  let body = '';
  request.on('data', (chunk: Buffer) => {
    body += chunk.toString();
  });
  request.on('end', () => {
    const path = request.url ?? '';
    received.push({ path, headers: request.headers as Record<string, string>, body });
    if (path === '/hang') {
      return;
    }
    if (path === '/drip') {
      // headers at once, then one byte a second for ever
      response.writeHead(200);
      const timer = setInterval(() => response.write('x'), 1000);
      response.on('close', () => clearInterval(timer));
      return;
    }
    const status = path === '/gone' ? 410 : path === '/moved' ? 302 : 204;
    response.writeHead(status, { location: `${address}/elsewhere` }).end();
  });
}

/** A resolver by RFC 8484. */
function resolve(request: IncomingMessage, response: ServerResponse): void {
  const dns = new URL(request.url ?? '', 'http://resolver').searchParams.get('dns') ?? '';
  const query = decode(new Uint8Array(Buffer.from(dns, 'base64url'))) as {
    questions: { name: string; type: string }[];
  };
  const [{ name, type } = { name: '', type: '' }] = query.questions;
  const answers = (NAMES[name] ?? [])
    .filter((data) => data.includes(':') === (type === 'AAAA'))
    .map((data) => ({ type, name, ttl: 1, data }));
  const packet = encode({ type: 'response', id: 0, flags: 0x8180, questions: query.questions, answers } as never);
  response.writeHead(200, { 'content-type': 'application/dns-message' }).end(packet);
}

beforeAll(async () => {
  address = await listen(receive);
  resolver = await listen(resolve);
  stack = await new Stack({ vars: { DNS_RESOLVER: resolver } }).start();
}, 120_000);
afterAll(async () => {
  await stack.stop();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

type Endpoint = {
  id: string;
  secret: string;
  scheme: string;
  disabled_at: string | null;
  disabled_reason: string | null;
};
async function endpoint(path: string, more: Record<string, unknown> = {}): Promise<Endpoint> {
  const target = path.startsWith('https:') ? path : `${address}${path}`;
  const answer = await stack.call('POST', '/v1/webhook-endpoints', { body: { address: target, ...more } });
  if (answer.status !== 201) {
    throw new Error(await answer.text());
  }
  return (await answer.json()) as Endpoint;
}
type Delivery = {
  id: string;
  type: string;
  state: string;
  next_at: string | null;
  attempts: { status: number | null; detail: string }[];
};
const deliveries = async (id: string) =>
  ((await (await stack.call('GET', `/v1/webhook-endpoints/${id}/deliveries`)).json()) as { data: Delivery[] }).data;
const read = async (id: string) => (await stack.call('GET', `/v1/webhook-endpoints/${id}`)).json() as Promise<Endpoint>;
const remove = (id: string) => stack.call('DELETE', `/v1/webhook-endpoints/${id}`);
const at = (path: string) => received.filter((one) => one.path === path);
const canceled = async (): Promise<string> => {
  const id = await stack.post();
  await stack.call('POST', `/v1/jobs/${id}/cancel`);
  return id;
};
const bytes = (text: string) => Uint8Array.from(Buffer.from(text, 'base64'));

describe('an endpoint', () => {
  it('is told of what its filter names, in the committed form, signed so that others verify it', async () => {
    const hmac = await endpoint('/v1', { events: ['job.*'] });
    const ed = await endpoint('/v1a', { scheme: 'v1a', events: ['job.canceled'] });
    const runs = await endpoint('/runs', { events: ['run.*'] });
    const id = await canceled();
    await until(() => at('/v1').length === 1 && at('/v1a').length === 1, 'both deliveries');
    const [one] = at('/v1');
    const [two] = at('/v1a');
    const payload = new Webhook(hmac.secret).verify(one?.body ?? '', one?.headers ?? {});
    expect(WEBHOOK_EVENTS['job.canceled'].parse(payload).data.id).toBe(id);
    const key = await crypto.subtle.importKey('raw', bytes(ed.secret.replace('whpk_', '')), 'Ed25519', false, [
      'verify',
    ]);
    const {
      'webhook-id': event,
      'webhook-timestamp': timestamp,
      'webhook-signature': signature = '',
    } = two?.headers ?? {};
    const content = new TextEncoder().encode(`${event}.${timestamp}.${two?.body}`);
    expect(await crypto.subtle.verify('Ed25519', key, bytes(signature.replace('v1a,', '')), content)).toBe(true);
    expect(event).toBe(one?.headers['webhook-id']);
    expect(at('/runs')).toEqual([]);
    await Promise.all([hmac, ed, runs].map((one) => remove(one.id)));
  });

  it('signs with both secrets while one is replaced, and can be tested and sent to again', async () => {
    const made = await endpoint('/rotated');
    const rotated = await stack.call('POST', `/v1/webhook-endpoints/${made.id}/secret/rotate`, { body: {} });
    const { secret } = (await rotated.json()) as Endpoint;
    await stack.call('POST', `/v1/webhook-endpoints/${made.id}/test`);
    await until(() => at('/rotated').length === 1, 'the test');
    for (const known of [made.secret, secret]) {
      expect(new Webhook(known).verify(at('/rotated')[0]?.body ?? '', at('/rotated')[0]?.headers ?? {})).toMatchObject({
        type: 'endpoint.test',
      });
    }
    await until(async () => (await deliveries(made.id))[0]?.state === 'delivered', 'the log');
    const [delivery] = await deliveries(made.id);
    await stack.call('POST', `/v1/webhook-endpoints/${made.id}/deliveries/${delivery?.id}/redeliver`);
    await until(() => at('/rotated').length === 2, 'the second');
    expect(at('/rotated')[1]?.headers['webhook-id']).toBe(delivery?.id);
    await remove(made.id);
    expect((await stack.call('GET', `/v1/webhook-endpoints/${made.id}`)).status).toBe(404);
  });

  it('that hangs delays no other, and is given up after 15 s', async () => {
    const hanging = await Promise.all([endpoint('/hang'), endpoint('/hang'), endpoint('/drip')]);
    const healthy = await endpoint('/healthy');
    const began = performance.now();
    await canceled();
    await until(() => at('/healthy').length === 1, 'the healthy one');
    expect(performance.now() - began).toBeLessThan(14_000);
    // the headers of one byte a second are an answer; the body is not waited for, nor kept
    await until(async () => (await deliveries(hanging[2]?.id ?? ''))[0]?.state === 'delivered', 'the dripping one');
    await until(
      async () => (await deliveries(hanging[0]?.id ?? ''))[0]?.attempts.length === 1,
      'the end of the first try',
    );
    expect((await deliveries(hanging[0]?.id ?? ''))[0]).toMatchObject({
      state: 'waiting',
      attempts: [{ status: null, detail: 'no answer within 15 s' }],
    });
    await Promise.all([...hanging, healthy].map((one) => remove(one.id)));
  });

  it('that is gone is disabled at once, which the others are told', async () => {
    const watcher = await endpoint('/watcher', { events: ['endpoint.disabled'] });
    const gone = await endpoint('/gone');
    await canceled();
    await until(async () => (await read(gone.id)).disabled_at !== null, 'it to be disabled');
    expect((await read(gone.id)).disabled_reason).toBe('gone');
    await until(() => at('/watcher').length === 1, 'the event');
    expect(WEBHOOK_EVENTS['endpoint.disabled'].parse(JSON.parse(at('/watcher')[0]?.body ?? '')).data).toEqual({
      id: gone.id,
      reason: 'gone',
    });
    await canceled();
    const enabled = await stack.call('PATCH', `/v1/webhook-endpoints/${gone.id}`, {
      body: { disabled: false, address: `${address}/back` },
    });
    expect(((await enabled.json()) as Endpoint).disabled_at).toBeNull();
    await canceled();
    await until(() => at('/back').length === 1, 'it to be back');
    expect(at('/gone')).toHaveLength(1);
    await Promise.all([watcher, gone].map((one) => remove(one.id)));
  });

  it('follows no redirect', async () => {
    const moved = await endpoint('/moved');
    await canceled();
    await until(async () => (await deliveries(moved.id))[0]?.attempts.length === 1, 'the try');
    expect((await deliveries(moved.id))[0]?.attempts[0]).toMatchObject({
      status: 302,
      detail: 'redirects are not followed',
    });
    expect(at('/elsewhere')).toEqual([]);
    await remove(moved.id);
  });
});

describe('an address', () => {
  it.each(Object.keys(NAMES))('is judged before each attempt by what %s resolves to', async (name) => {
    const made = await endpoint(`https://${name}:8443/hook`);
    await stack.call('POST', `/v1/webhook-endpoints/${made.id}/test`);
    await until(async () => (await deliveries(made.id))[0]?.attempts.length === 1, 'the try');
    expect((await deliveries(made.id))[0]?.attempts[0]?.detail).toMatch(/^address_refused: /);
    await remove(made.id);
  });

  it('that has no answer is a failed attempt, tried again', async () => {
    const made = await endpoint('https://nowhere.customer.dev/hook');
    await stack.call('POST', `/v1/webhook-endpoints/${made.id}/test`);
    await until(async () => (await deliveries(made.id))[0]?.attempts.length === 1, 'the try');
    const [delivery] = await deliveries(made.id);
    expect(delivery).toMatchObject({
      state: 'waiting',
      attempts: [{ detail: 'unavailable: the name has no address' }],
    });
    expect(delivery?.next_at).not.toBeNull();
    await remove(made.id);
  });

  it.each([
    'http://customer.dev/x',
    'https://10.0.0.1/x',
    'https://[::1]/x',
    'https://user:pw@customer.dev/',
    'itself',
  ])('is refused by its spelling: %s', async (text) => {
    const answer = await stack.call('POST', '/v1/webhook-endpoints', {
      body: { address: text === 'itself' ? `${stack.edge.url}/v1/inbound/x` : text },
    });
    expect(answer.status).toBe(422);
    expect(await answer.json()).toMatchObject({ errors: [{ pointer: '/address', code: 'address_refused' }] });
  });
});
