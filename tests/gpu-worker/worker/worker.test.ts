/** The worker against a queue and an edge whose answers the test decides. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Metrics } from '../../../gpu-worker/worker/metrics.ts';
import { Worker } from '../../../gpu-worker/worker/worker.ts';
import { randomId } from '../../../shared/signing/digest.ts';
import type { SigningKey } from '../../../shared/signing/envelope.ts';
import { publicKeys } from '../../../shared/signing/key-set.ts';
import { signMessage } from '../../../shared/signing/message.ts';
import { newSigningKey } from '../../support/signing-key.ts';

type Settled = { acks: { lease_id: string }[]; retries: { lease_id: string; delay_seconds: number }[] };
/** What the counterparts do, and what they saw. */
const world = {
  edgeKeys: [] as SigningKey[],
  keysDown: false,
  queueDown: false,
  queue: [] as { jws: string }[],
  claimAnswer: { status: 409, code: 'job_busy' },
  pulls: 0,
  keyFetches: 0,
  claims: 0,
  settled: [] as Settled[],
};
const data = mkdtempSync(join(tmpdir(), 'sextant-worker-'));
afterAll(() => rmSync(data, { recursive: true, force: true }));
let server: Server;
let worker: Worker;
let makeWorker: (options?: { untilEmpty: boolean }) => Promise<Worker>;
let ended: Promise<void>;
let edgeKey: SigningKey;
const logged: string[] = [];

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) {
    text += String(chunk);
  }
  return text;
}

async function answer(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
  const body = await bodyOf(request);
  if (request.url === '/.well-known/jwks.json') {
    world.keyFetches += 1;
    return world.keysDown ? { status: 503, body: {} } : { status: 200, body: publicKeys(world.edgeKeys) };
  }
  if (request.url?.endsWith('/messages/pull')) {
    world.pulls += 1;
    if (world.queueDown) {
      return { status: 503, body: {} };
    }
    const next = world.queue.shift();
    const messages = next
      ? [
          {
            id: 'm',
            body: Buffer.from(JSON.stringify(next)).toString('base64'),
            attempts: 1,
            lease_id: `lease-${world.pulls}`,
            metadata: { 'CF-Content-Type': 'json' },
          },
        ]
      : [];
    return { status: 200, body: { success: true, errors: [], messages: [], result: { messages } } };
  }
  if (request.url?.endsWith('/messages/ack')) {
    world.settled.push(JSON.parse(body) as Settled);
    return { status: 200, body: { success: true, result: {} } };
  }
  if (request.url === '/internal/workers/announce') {
    return { status: 200, body: {} };
  }
  if (request.url?.startsWith('/internal/deletions')) {
    return { status: 200, body: { cursor: 0, deletions: [] } };
  }
  if (request.url?.startsWith('/internal/workers/bell')) {
    return { status: 404, body: {} };
  }
  world.claims += 1;
  const { status, code } = world.claimAnswer;
  const problem = { type: '', title: '', status, detail: 'no', instance: '', code, request_id: 'r' };
  return { status, body: problem };
}

const message = (key = edgeKey) =>
  signMessage(
    key,
    { sub: randomId('job'), jti: randomId('dsp'), type: 'diagnostics.run', input_digest: 'a'.repeat(64), params: {} },
    Date.now() / 1000,
  );
const until = async (holds: () => boolean) => {
  while (!holds()) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

beforeEach(async () => {
  edgeKey = await newSigningKey('edge-1');
  Object.assign(world, {
    edgeKeys: [edgeKey],
    keysDown: false,
    queueDown: false,
    queue: [],
    claimAnswer: { status: 409, code: 'job_busy' },
    pulls: 0,
    keyFetches: 0,
    claims: 0,
    settled: [],
  });
  logged.length = 0;
  server = createServer((request, response) => {
    void answer(request).then(({ status, body }) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  makeWorker = async (options) =>
    new Worker(
      {
        edge_url: url,
        queue: { api_base: url, account: 'a', id: 'q', token: 't', poll_ms: 50, visibility_ms: 60_000 },
        key_file: '',
        key: await newSigningKey(randomId('wkr')),
        device: 'cpu',
        threads: 1,
        memory_limit_bytes: 1e9,
        stall_limit_s: 60,
        data,
        allow_ablated_models: false,
        models: {},
        corpora: {},
        hubs: {},
      },
      (event) => logged.push(event),
      new Metrics(),
      undefined,
      options,
    );
  worker = await makeWorker();
});
afterEach(async () => {
  worker.stop();
  await ended.catch(() => {});
  await new Promise((resolve) => server.close(resolve));
});

const start = () => {
  ended = worker.run();
  ended.catch(() => {});
};

describe('the worker', () => {
  it.each(['job_busy', 'job_terminal', 'dispatch_unknown'])(
    'acknowledges a message whose claim is refused as %s',
    async (code) => {
      world.claimAnswer = { status: 409, code };
      world.queue.push({ jws: await message() });
      start();
      await until(() => world.settled.length === 1);
      expect(world.settled[0]).toMatchObject({ acks: [{ lease_id: 'lease-1' }], retries: [] });
    },
  );

  it('takes no message while the keys cannot be fetched, and none is lost or used up', async () => {
    world.keysDown = true;
    world.queue.push({ jws: await message() });
    start();
    await until(() => world.keyFetches >= 2);
    expect(world.pulls).toBe(0);
    expect(world.settled).toEqual([]);
    world.keysDown = false;
    await until(() => world.settled.length === 1);
    expect(world.claims).toBe(1);
    expect(logged.filter((event) => event === 'waiting')).toHaveLength(1);
  });

  it('puts off a message under a key that it may not ask for yet, without claiming', async () => {
    world.queue.push({ jws: await message(await newSigningKey('edge-2')) });
    start();
    await until(() => world.settled.length === 1);
    expect(world.settled[0]?.acks).toEqual([]);
    expect(world.settled[0]?.retries[0]?.delay_seconds).toBeGreaterThan(20);
    expect(world).toMatchObject({ claims: 0, keyFetches: 1 });
  });

  it('gives a message back when the edge has trouble', async () => {
    world.claimAnswer = { status: 503, code: 'unavailable' };
    world.queue.push({ jws: await message() });
    start();
    await until(() => world.settled.length === 1);
    expect(world.settled[0]).toMatchObject({ acks: [], retries: [{ lease_id: 'lease-1', delay_seconds: 2 }] });
  });

  it('until nothing waits: takes what waits, and ends once its queue stays empty, not while it is out of reach', async () => {
    worker = await makeWorker({ untilEmpty: true });
    world.queueDown = true;
    world.queue.push({ jws: await message() });
    start();
    // more than the polls that end it
    await until(() => world.pulls > 12);
    const before = world.pulls;
    world.queueDown = false;
    await ended;
    expect(world.settled).toHaveLength(1);
    expect(world.pulls - before).toBeGreaterThan(10);
  });

  it('gives a message back and ends when the edge does not know the worker', async () => {
    world.claimAnswer = { status: 401, code: 'signature_invalid' };
    world.queue.push({ jws: await message() });
    start();
    await expect(ended).rejects.toMatchObject({ code: 'signature_invalid' });
    expect(world.settled[0]?.retries).toHaveLength(1);
  });
});
