/**
 * What the client promises, in code that runs in any JavaScript runtime: no test runner, no network, answers that a script
 * gives. `suite.test.ts` runs it in Node 20, workerd and Chromium.
 */
import {
  AnswerLostError,
  ApiError,
  IntegrityError,
  JobFailedError,
  NetworkError,
  Sextant,
  sha256,
  UnexpectedAnswerError,
  verifyWebhook,
  WebhookVerificationError,
} from '../../../edge/client/index.ts';
import vectors from '../../../edge/guides/webhook-test-vectors.json' with { type: 'json' };

type Case = { name: string; run: () => Promise<void> };
type Sent = { method: string; path: string; headers: Record<string, string>; body: unknown };
type Answer = () => Response | Promise<Response>;

const same = (found: unknown, wanted: unknown): void => {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (a !== b) {
    throw new Error(`found ${a}, wanted ${b}`);
  }
};
async function raised<E extends Error>(of: new (...args: never[]) => E, call: () => PromiseLike<unknown>): Promise<E> {
  const error = await Promise.resolve()
    .then(call)
    .then(
      () => new Error('nothing was raised'),
      (error: unknown) => error,
    );
  if (!(error instanceof of)) {
    throw new Error(`wanted ${of.name}, found ${error}`);
  }
  return error;
}

/** A client whose requests are noted and answered from the list, the last answer again and again. */
function scripted(...answers: Answer[]): { client: Sextant; sent: Sent[] } {
  const sent: Sent[] = [];
  const client = new Sextant({
    url: 'http://sextant.test',
    key: 'sextant_secret',
    random: () => 0,
    fetch: async (address, init) => {
      const { body } = init;
      sent.push({
        method: init.method ?? 'GET',
        path: address.replace('http://sextant.test', ''),
        headers: init.headers as Record<string, string>,
        body: typeof body === 'string' ? JSON.parse(body) : body,
      });
      init.signal?.throwIfAborted();
      return answers[Math.min(sent.length, answers.length) - 1]!();
    },
  });
  return { client, sent };
}

const problem = (status: number, code: string, headers: Record<string, string> = {}): Answer => {
  const body = {
    type: `/problems/${code}`,
    title: code,
    status,
    detail: `${code}!`,
    instance: '/',
    code,
    request_id: 'r',
  };
  return () => Response.json(body, { status, headers: { 'content-type': 'application/problem+json', ...headers } });
};
const lost: Answer = () => Promise.reject(new TypeError('fetch failed'));
const ok =
  (body: unknown, headers: Record<string, string> = {}): Answer =>
  () =>
    Response.json(body, { headers });

/** Pieces of a body, then its end or a broken connection. */
const stream = (pieces: readonly (string | Uint8Array)[], broken: boolean): ReadableStream<Uint8Array> => {
  const left = pieces.map((piece) => (typeof piece === 'string' ? new TextEncoder().encode(piece) : piece));
  return new ReadableStream({
    pull(controller) {
      const piece = left.shift();
      if (piece) {
        controller.enqueue(piece);
      } else if (broken) {
        controller.error(new TypeError('terminated'));
      } else {
        controller.close();
      }
    },
  });
};
const eventStream =
  (pieces: readonly string[], broken = false): Answer =>
  () =>
    new Response(stream(pieces, broken), { headers: { 'content-type': 'text/event-stream' } });
const frame = (id: number, event: string, data: unknown): string =>
  `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
const status = (id: number, status: string): string => frame(id, 'status', { status, attempt: 1, at: '', error: null });
const progress = (id: number, fraction: number): string =>
  frame(id, 'progress', { fraction, stage: 's', metrics: {}, attempt: 1, at: '' });
const keysOf = (sent: readonly Sent[]): number => new Set(sent.map(({ headers }) => headers['idempotency-key'])).size;

const retries: Case[] = [
  ...[408, 429, 502, 503, 504].map((code) => ({
    name: `tries again after ${code}, under one idempotency key`,
    async run() {
      const { client, sent } = scripted(() => new Response('', { status: code }), ok({ id: 'job_1' }));
      same((await client.jobs.create('diagnostics.run', {})).id, 'job_1');
      same([sent.length, keysOf(sent)], [2, 1]);
    },
  })),
  {
    name: 'tries again after 409 for a request in flight, and after a lost connection or half an answer',
    async run() {
      const half: Answer = () => new Response('{"id":', { headers: { 'content-type': 'application/json' } });
      const broken: Answer = () =>
        new Response(stream(['{"id"'], true), { headers: { 'content-type': 'application/json' } });
      const { client, sent } = scripted(problem(409, 'idempotency_in_flight'), lost, half, broken, ok({ id: 'j' }));
      same((await client.jobs.create('diagnostics.run', {})).id, 'j');
      same([sent.length, keysOf(sent)], [5, 1]);
    },
  },
  {
    name: 'tries nothing else again',
    async run() {
      for (const [code, name] of [
        [400, 'parameter_invalid'],
        [401, 'unauthenticated'],
        [404, 'not_found'],
        [409, 'conflict'],
        [422, 'validation_failed'],
        [500, 'internal'],
      ] as const) {
        const { client, sent } = scripted(problem(code, name));
        const error = await raised(ApiError, () => client.jobs.get('job_1'));
        same([sent.length, error.code, error.status, error.requestId, error.message], [1, name, code, 'r', `${name}!`]);
      }
    },
  },
  {
    name: 'gives up after the tries that it has, and says what happened',
    async run() {
      const off = scripted(lost);
      const error = await raised(NetworkError, () => off.client.service.health());
      same([off.sent.length, error.message.includes('http://sextant.test')], [5, true]);
      const busy = scripted(problem(503, 'unavailable', { 'retry-after': '0' }));
      same((await raised(ApiError, () => busy.client.jobs.get('j'))).code, 'unavailable');
      same(busy.sent.length, 5);
    },
  },
  {
    name: 'reads Retry-After as seconds and as a date by the clock of the answer, and raises what is too long',
    async run() {
      for (const headers of [
        { 'retry-after': '3600' },
        { 'retry-after': 'Mon, 02 Jan 2090 11:00:00 GMT', date: 'Mon, 02 Jan 2090 10:00:00 GMT' },
      ]) {
        const { client, sent } = scripted(problem(429, 'quota_exceeded', headers));
        const error = await raised(ApiError, () => client.jobs.get('j'));
        same([sent.length, error.retryAfterS], [1, 3600]);
      }
      const soon = { 'retry-after': 'Mon, 02 Jan 2090 10:00:00 GMT', date: 'Mon, 02 Jan 2090 10:00:00 GMT' };
      const { client, sent } = scripted(problem(429, 'quota_exceeded', soon), ok({ id: 'j' }));
      await client.jobs.get('j');
      same(sent.length, 2);
    },
  },
  {
    name: 'makes no second secret where an answer was lost',
    async run() {
      const { client, sent } = scripted(lost);
      await raised(NetworkError, () => client.webhookSecret.rotate());
      same(sent.length, 1);
      const replayed: Answer = () =>
        new Response(null, { status: 201, headers: { location: '/v1/keys/key_1', 'idempotency-replayed': 'true' } });
      const keys = scripted(lost, replayed);
      const error = await raised(AnswerLostError, () => keys.client.keys.create({ name: 'n', scopes: ['jobs:read'] }));
      same([keys.sent.length, keysOf(keys.sent), error.location], [2, 1, '/v1/keys/key_1']);
    },
  },
  {
    name: 'stops waiting for another try when it is told to',
    async run() {
      const controller = new AbortController();
      const { client, sent } = scripted(problem(503, 'unavailable', { 'retry-after': '30' }));
      const call = raised(Error, () => client.jobs.get('j', { signal: controller.signal }));
      setTimeout(() => controller.abort(new Error('enough')), 20);
      same([(await call).message, sent.length], ['enough', 1]);
    },
  },
  {
    name: 'says that a page or a redirect is not Sextant',
    async run() {
      const page = scripted(() => new Response('<html>', { headers: { 'content-type': 'text/html' } }));
      const error = await raised(UnexpectedAnswerError, () => page.client.jobs.get('j'));
      same(/text\/html.*is this its address/.test(error.message), true);
      const moved = scripted(() => new Response(null, { status: 302, headers: { location: 'https://elsewhere/' } }));
      same((await raised(UnexpectedAnswerError, () => moved.client.jobs.get('j'))).status, 302);
      same(moved.sent.length, 1);
    },
  },
  {
    name: 'shows its key nowhere, and refuses one that is no word',
    async run() {
      const { client } = scripted(ok({}));
      same(JSON.stringify(client).includes('secret'), false);
      const torn = new Sextant({ url: 'http://sextant.test', key: 'two words', fetch: async () => Response.json({}) });
      same((await raised(TypeError, () => torn.jobs.get('j'))).message.includes('two words'), false);
      await raised(TypeError, async () => new Sextant({ url: 'not an address' }));
    },
  },
];

const lists: Case[] = [
  {
    name: 'goes over every page, and reads one alone where it is awaited',
    async run() {
      const page = (n: number, next: string | null): Answer => ok({ data: [{ n }, { n: n + 1 }], next_cursor: next });
      const { client, sent } = scripted(page(0, 'a'), page(2, 'b'), page(4, null));
      const found: unknown[] = [];
      for await (const key of client.keys.list({ limit: 2 })) {
        found.push((key as unknown as { n: number }).n);
      }
      same(found, [0, 1, 2, 3, 4, 5]);
      same(
        sent.map(({ path }) => path),
        ['/v1/keys?limit=2', '/v1/keys?limit=2&cursor=a', '/v1/keys?limit=2&cursor=b'],
      );
      const one = scripted(page(0, 'a'));
      same([(await one.client.keys.list()).next_cursor, one.sent.length], ['a', 1]);
    },
  },
];

const done = { id: 'job_1', type: 'diagnostics.run', status: 'succeeded', result: { steps: 3 }, error: null };
const jobs: Case[] = [
  {
    name: 'takes a broken stream up after the last whole event, and gives each event once',
    async run() {
      const cut = status(3, 'running').slice(0, -9);
      const { client, sent } = scripted(
        eventStream([status(1, 'queued'), progress(2, 0.5).slice(0, 20), progress(2, 0.5).slice(20), cut], true),
        lost,
        eventStream([progress(2, 0.5), status(3, 'running'), status(4, 'succeeded')]),
      );
      const seen: number[] = [];
      for await (const { id } of client.jobs.events('job_1')) {
        seen.push(id);
      }
      same(seen, [1, 2, 3, 4]);
      same(
        sent.map(({ headers }) => headers['last-event-id'] ?? null),
        [null, '2', '2'],
      );
    },
  },
  {
    name: 'ends with a stream that has nothing more, and gives up one that only breaks',
    async run() {
      const over = scripted(() => new Response(null, { status: 204 }));
      for await (const _ of over.client.runs.events('run_1', { lastEventId: 9 })) {
        throw new Error('an event came');
      }
      same(over.sent[0]?.headers['last-event-id'], '9');
      const { client } = scripted(eventStream([], true));
      await raised(NetworkError, async () => {
        for await (const _ of client.jobs.events('job_1')) {
          // none comes
        }
      });
    },
  },
  {
    name: 'runs a job to its result, told of its progress',
    async run() {
      const { client } = scripted(
        ok({ ...done, status: 'queued', result: null }),
        eventStream([progress(1, 0.25), status(2, 'succeeded')]),
        ok(done),
      );
      const told: number[] = [];
      const result = await client.jobs.run(
        'diagnostics.run',
        {},
        { onProgress: ({ fraction }) => told.push(fraction) },
      );
      same([result.steps, told], [3, [0.25]]);
    },
  },
  {
    name: "raises a job's own error",
    async run() {
      const error = { code: 'hook_unknown', detail: 'no such hook', attempt: 1, errors: [] };
      const { client } = scripted(
        ok(done),
        eventStream([status(1, 'failed')]),
        ok({ ...done, status: 'failed', result: null, error }),
      );
      const found = await raised(JobFailedError, () => client.jobs.run('diagnostics.run', {}));
      same([found.code, found.job.id, found.message.includes('no such hook')], ['hook_unknown', 'job_1', true]);
    },
  },
  {
    name: 'cancels a job whose waiting is given up only where that was asked for',
    async run() {
      for (const cancelOnAbort of [false, true]) {
        const controller = new AbortController();
        const waiting: Answer = () =>
          new Response(
            new ReadableStream({
              start: (c) => controller.signal.addEventListener('abort', () => c.error(new Error('closed'))),
            }),
          );
        const { client, sent } = scripted(ok(done), waiting, ok(done));
        setTimeout(() => controller.abort(new Error('enough')), 20);
        const { signal } = controller;
        const error = await raised(Error, () => client.jobs.run('diagnostics.run', {}, { signal, cancelOnAbort }));
        same(error.message, 'enough');
        same(
          sent.some(({ path }) => path.endsWith('/cancel')),
          cancelOnAbort,
        );
      }
    },
  },
];

const content = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 2654435761) >>> 24);
const digestOf = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
  [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))]
    .map((b) => b.toString(16).padStart(2, '0'))
    .join('');
const artefact = { id: 'art_1', state: 'stored' };

const bytes: Case[] = [
  {
    name: 'digests pieces as it digests the whole',
    async run() {
      for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1000, 200_000]) {
        const whole = content.subarray(0, length);
        const hash = sha256();
        for (let at = 0, step = 1; at < length; at += step, step = (step * 7) % 97) {
          hash.update(whole.subarray(at, Math.min(length, at + step)));
        }
        same([length, hash.hex()], [length, await digestOf(whole)]);
      }
    },
  },
  {
    name: 'uploads what is larger than one artefact in parts, each with its digest, in their order',
    async run() {
      const content = new TextEncoder().encode('0123456789');
      const told: number[] = [];
      const part = (n: number): Answer => ok({ id: `art_${n}`, upload: null });
      const limits = ok({ limits: { shard_bytes: 4 } });
      const { client, sent } = scripted(limits, part(1), part(1), part(2), part(2), part(3), part(3));
      const onProgress = ({ bytes }: { bytes: number }) => void told.push(bytes);
      const parts = await client.artefacts.uploadParts(content, { name: 'a.bin', onProgress });
      same(
        parts.map(({ id }) => id),
        ['art_1', 'art_2', 'art_3'],
      );
      const announced = sent.filter(({ method, path }) => method === 'POST' && path === '/v1/artefacts');
      const digestOf = (text: string) => {
        const digest = sha256();
        digest.update(new TextEncoder().encode(text));
        return digest.hex();
      };
      const wanted = ['0123', '4567', '89'].map((text, i) => [`a.bin.${i + 1}`, text.length, digestOf(text)]);
      same(
        announced.map(({ body }) => {
          const { name, bytes, sha256 } = body as { name: string; bytes: number; sha256: string };
          return [name, bytes, sha256];
        }),
        wanted,
      );
      same(told, [4, 8, 10]);
      const whole = scripted(ok({ limits: { shard_bytes: 10 } }), part(1), part(1));
      await whole.client.artefacts.uploadParts(content, { name: 'a.bin' });
      same((whole.sent[1]!.body as { name: string }).name, 'a.bin');
    },
  },
  {
    name: 'uploads with a digest and without the key, and sends nothing that is there',
    async run() {
      const put = { method: 'PUT', url: 'http://bucket.test/x', expires_at: '' };
      const { client, sent } = scripted(ok({ ...artefact, upload: put }), lost, ok({}), ok(artefact));
      same((await client.artefacts.upload(content, { name: 'a.bin' })).id, 'art_1');
      const [announced, , sentBytes, commit] = sent as [Sent, Sent, Sent, Sent];
      same((announced.body as { sha256: string; bytes: number }).sha256, await digestOf(content));
      same([sentBytes.method, sentBytes.path, sentBytes.headers], ['PUT', 'http://bucket.test/x', undefined]);
      same([(sentBytes.body as Blob).size, commit.path], [content.length, '/v1/artefacts/art_1/commit']);
      const owned = scripted(ok({ ...artefact, upload: null }), ok(artefact));
      await owned.client.artefacts.upload(content, { name: 'a.bin' });
      same(owned.sent.length, 2);
    },
  },
  {
    name: 'announces again where the address was lost, and tells of a file that changed',
    async run() {
      const replayed: Answer = () => new Response(null, { status: 201, headers: { 'idempotency-replayed': 'true' } });
      const { client, sent } = scripted(lost, replayed, ok({ ...artefact, upload: null }), ok(artefact));
      await client.artefacts.upload(content, { name: 'a.bin' });
      same([sent.length, keysOf(sent.slice(0, 3))], [4, 2]);
      const put = { method: 'PUT', url: 'http://bucket.test/x', expires_at: '' };
      const other = scripted(ok({ ...artefact, upload: put }), ok({}), problem(409, 'artefact_mismatch'));
      await raised(IntegrityError, () => other.client.artefacts.upload(content, { name: 'a.bin' }));
    },
  },
  {
    name: 'takes a download up where it broke, and checks its digest',
    async run() {
      const etag = `"${await digestOf(content)}"`;
      const cut = 70_001;
      const size = String(content.length);
      const first: Answer = () =>
        new Response(stream([content.subarray(0, cut)], true), { headers: { etag, 'content-length': size } });
      const rest: Answer = () =>
        new Response(stream([content.subarray(cut)], false), {
          status: 206,
          headers: { etag, 'content-range': `bytes ${cut}-${content.length - 1}/${size}` },
        });
      const { client, sent } = scripted(first, lost, rest);
      const found = await client.artefacts.bytes('art_1');
      same(await digestOf(found), await digestOf(content));
      same([sent[2]?.headers.range, sent[2]?.headers['if-range']], [`bytes=${cut}-`, etag]);
      const wrong: Answer = () =>
        new Response(stream([content.subarray(1)], false), {
          headers: { etag, 'content-length': String(content.length - 1) },
        });
      await raised(IntegrityError, () => scripted(wrong).client.artefacts.bytes('art_1'));
    },
  },
];

const webhooks: Case[] = vectors.map(({ scheme, verifier, id, timestamp, body, signature }) => ({
  name: `verifies the published test vector of ${scheme}, and nothing near it`,
  async run() {
    const headers = {
      'Webhook-Id': id,
      'Webhook-Timestamp': String(timestamp),
      'Webhook-Signature': `v1,AAAA ${signature}`,
    };
    const raw = new TextEncoder().encode(body) as Uint8Array<ArrayBuffer>;
    const now = timestamp * 1000 + 299_000;
    const other = `whsec_${btoa('another secret')}`;
    same((await verifyWebhook({ body: raw, headers, secrets: [other, verifier], now })).type, 'job.succeeded');
    same((await verifyWebhook({ body, headers: new Headers(headers), secrets: verifier, now })).type, 'job.succeeded');
    for (const changed of [
      { body: body.replace('succeeded', 'Succeeded') },
      { secrets: [other] },
      { now: timestamp * 1000 + 3_600_000 },
      { now: timestamp * 1000 - 3_600_000 },
      { headers: { ...headers, 'Webhook-Id': 'evt_other' } },
      { headers: { 'webhook-id': id, 'webhook-timestamp': String(timestamp) } },
      { headers: { ...headers, 'Webhook-Signature': signature.replace(/^v1a?/, scheme === 'v1' ? 'v1a' : 'v1') } },
    ]) {
      await raised(WebhookVerificationError, () =>
        verifyWebhook({ body, headers, secrets: verifier, now, ...changed }),
      );
    }
    const late = { now: timestamp * 1000 + 3_600_000, toleranceS: 3601 };
    await verifyWebhook({ body, headers, secrets: verifier, ...late });
    // @ts-expect-error a parsed body is not what was signed
    await raised(TypeError, () => verifyWebhook({ body: JSON.parse(body) as object, headers, secrets: verifier, now }));
    await raised(TypeError, () => verifyWebhook({ body, headers, secrets: 'nonsense', now }));
  },
}));

const CASES: readonly Case[] = [...retries, ...lists, ...jobs, ...bytes, ...webhooks];

/** Runs every case; what went wrong by name, and how many there were. */
export async function runCases(): Promise<{ ran: number; failed: Record<string, string> }> {
  const failed: Record<string, string> = {};
  for (const { name, run } of CASES) {
    try {
      await run();
    } catch (error) {
      failed[name] = error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
  }
  return { ran: CASES.length, failed };
}
