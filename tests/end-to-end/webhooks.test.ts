/** Outgoing webhooks against a real receiver, checked with the reference library; and bodies that no service should take. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/until.ts';
import { Stack } from './support/stack.ts';

const stack = new Stack();
type Received = { path: string; headers: Record<string, string>; body: string };
const received: Received[] = [];
let receiver: Server;
let address = '';
beforeAll(async () => {
  await stack.start();
  receiver = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      const path = request.url ?? '';
      received.push({ path, headers: request.headers as Record<string, string>, body });
      const before = received.filter((one) => one.path === path).length;
      const status = path === '/gone' ? 410 : path === '/moved' ? 302 : path === '/flaky' && before === 1 ? 503 : 204;
      response.writeHead(status, { location: `${address}/elsewhere` }).end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
}, 120_000);
afterAll(async () => {
  await stack.stop();
  receiver.close();
});

const canceled = async (path: string): Promise<string> => {
  const id = await stack.post({}, { webhook: `${address}${path}` });
  await stack.call('POST', `/v1/jobs/${id}/cancel`);
  return id;
};
const at = (path: string) => received.filter((one) => one.path === path);
const deliveries = async (id: string) =>
  ((await (await stack.call('GET', `/v1/jobs/${id}/deliveries`)).json()) as { data: { status: number }[] }).data;

describe('a webhook', () => {
  it('tells of the end of a job, signed, and again under the same id until it is taken', async () => {
    const { secret } = (await (await stack.call('GET', '/v1/webhook-secret')).json()) as { secret: string };
    const id = await canceled('/flaky');
    await until(() => at('/flaky').length === 2, 'the second try');
    const [first, second] = at('/flaky');
    for (const { headers, body } of [first, second] as Received[]) {
      expect(new Webhook(secret).verify(body, headers)).toMatchObject({
        type: 'job.canceled',
        data: { id, status: 'canceled', result_digest: null },
      });
      expect(() => new Webhook(secret).verify(body.replace(id, 'job_other'), headers)).toThrow();
    }
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
    await until(async () => (await deliveries(id)).length === 2, 'the log');
    expect((await deliveries(id)).map(({ status }) => status)).toEqual([503, 204]);
  });

  it('is not tried again at an address that is gone, and follows no redirect', async () => {
    const [gone, moved] = [await canceled('/gone'), await canceled('/moved')];
    await until(async () => (await deliveries(gone)).length + (await deliveries(moved)).length === 2, 'both tries');
    expect((await deliveries(gone))[0]).toMatchObject({
      status: 410,
      detail: expect.stringContaining('not tried again'),
    });
    expect((await deliveries(moved))[0]).toMatchObject({ status: 302 });
    expect(at('/elsewhere')).toEqual([]);
  });
});

describe('POST /v1/jobs', () => {
  const send = (body: string | Uint8Array<ArrayBuffer>, type = 'application/json') =>
    stack.raw('/v1/jobs', body, { 'content-type': type, 'idempotency-key': 'hostile' });
  it.each([
    ['20 MB', 'x'.repeat(20_000_000), 'application/json', 413, 'body_too_large'],
    ['10,000 levels', `${'['.repeat(10_000)}${']'.repeat(10_000)}`, 'application/json', 400, 'body_malformed'],
    ['bad UTF-8', new Uint8Array([0x7b, 0x22, 0xc3, 0x28, 0x22, 0x7d]), 'application/json', 400, 'body_malformed'],
    ['half a document', '{"type":', 'application/json', 400, 'body_malformed'],
    ['a form', 'type=x', 'application/x-www-form-urlencoded', 415, 'media_type_unsupported'],
    ['an array', '[]', 'application/json', 422, 'validation_failed'],
    [
      'a private webhook',
      '{"type":"diagnostics.run","params":{},"webhook":"https://169.254.169.254/x"}',
      'application/json',
      422,
      'validation_failed',
    ],
  ])('refuses %s with a problem', async (_, body, type, status, code) => {
    const answer = await send(body, type);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(await answer.json()).toMatchObject({ code, status });
  });
});
