/** Following a job token by token: what streams are told, and what becomes of a job that nobody follows any more. */

import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import type { Ledger } from '../../../edge/jobs/ledger.ts';
import { ledgerOf } from '../../../edge/jobs/ledger-of.ts';
import type { JobState, Terms } from '../../../edge/jobs/state.ts';
import type { TokenPiece } from '../../../shared/contracts/token-piece.ts';
import { randomId } from '../../../shared/signing/digest.ts';

const worker = randomId('wkr');

async function runningJob(more: Partial<Terms> = {}) {
  const id = randomId('job');
  const terms: Terms = {
    id,
    tenant: 'tenant',
    type: 'diagnostics.run',
    input_digest: 'a'.repeat(64),
    created_at: Date.now(),
    timeout_ms: 60_000,
    queue_ttl_ms: 60_000,
    max_attempts: 2,
    retention_ms: 60_000,
    inputs_kept_ms: null,
    estimate_s: 1,
    webhook: null,
    labels: {},
    followed: true,
    ...more,
  };
  const ledger = ledgerOf(env, id);
  await ledger.create(terms, { inline: {} });
  const stub = (env.LEDGER as DurableObjectNamespace<Ledger>).getByName(id);
  const claim = async () => {
    const claimed = await ledger.claim(worker, (await stateOf(stub)).dispatch.id);
    if (!claimed.ok) {
      throw new Error(claimed.detail);
    }
    return { worker, fence: claimed.value.fence, followed: claimed.value.followed };
  };
  const events = (last = '') =>
    ledger.fetch('https://ledger/events', { headers: { 'x-tenant': 'tenant', 'last-event-id': last } });
  return { id, ledger, stub, claim, events };
}

const stateOf = (stub: DurableObjectStub<Ledger>) =>
  runInDurableObject(stub, (_, { storage }) => {
    const { state } = storage.sql.exec<{ state: string }>('SELECT state FROM job').one();
    return JSON.parse(state) as JobState;
  });
const until = async (reached: () => Promise<boolean>) => {
  while (!(await reached())) {
    await scheduler.wait(20);
  }
};

const piece = (from: number, tokens: number[], text: string): TokenPiece => ({
  run: 0,
  prompt: 0,
  from,
  tokens,
  log_probabilities: tokens.map(() => -1),
  token_texts: null,
  alternatives: null,
  text_from: from,
  text,
  finish: null,
});

/** Reads frames until the text holds `until`. */
async function readUntil(body: ReadableStream<Uint8Array> | null, until: string) {
  const reader = body!.getReader();
  const decoder = new TextDecoder();
  let text = '';
  while (!text.includes(until)) {
    const { done, value } = await reader.read();
    if (done) {
      break;
    }
    text += decoder.decode(value, { stream: true });
  }
  return { text, reader };
}
const dataOf = (text: string) =>
  [...text.matchAll(/^event: tokens\ndata: (.*)$/gm)].map(([, data]) => JSON.parse(data!) as TokenPiece);

it('tells tokens as they come, and after a second attempt what it adds', async () => {
  const { ledger, claim, events } = await runningJob();
  const first = await claim();
  expect(first.followed).toBe(true);
  await ledger.tokens(first, [piece(0, [1], 'a'), piece(1, [2], 'b')]);
  const { text, reader } = await readUntil((await events()).body, '"text":"b"');
  expect(dataOf(text).map((one) => one.text)).toEqual(['a', 'b']);
  await ledger.fail(first, { code: 'computation_crashed', detail: 'gone' }, { retryable: true });
  expect(await ledger.tokens(first, [piece(2, [3], 'c')])).toMatchObject({ ok: false, code: 'fence_stale' });
  const second = await claim();
  await ledger.tokens(second, [piece(0, [1, 2, 3], 'abc')]);
  expect(await ledger.tokens(second, [piece(3, [9], 'x'), piece(0, [8], 'a')])).toMatchObject({
    ok: false,
    code: 'conflict',
  });
  await ledger.cancel('tenant');
  const rest = await readUntil(new Response(await collect(reader)).body, 'never');
  expect(dataOf(rest.text)).toMatchObject([
    { text: 'c', from: 2, tokens: [3], attempt: 2 },
    { text: 'x', from: 3, attempt: 2 },
  ]);
  expect(rest.text).toContain('"status":"canceled"');
  // a client that comes back gets what it has not had
  const ids = [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => id!);
  const again = await (await events(ids.at(-1))).text();
  expect(dataOf(again).map((one) => one.text)).toEqual(['c', 'x']);
});

async function collect(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    text += decoder.decode(part.value, { stream: true });
  }
  return text;
}

it('cancels a job whose client has gone', async () => {
  const { ledger, stub, claim, events } = await runningJob({ abandon_ms: 0 });
  await claim();
  const { reader } = await readUntil((await events()).body, 'running');
  await reader.cancel();
  await until(async () => (await stateOf(stub)).abandon_at !== undefined);
  await runDurableObjectAlarm(stub);
  expect((await ledger.view('tenant'))?.status).toBe('canceled');
});

it('goes on where somebody follows it again', async () => {
  const { ledger, stub, claim, events } = await runningJob({ abandon_ms: 30_000 });
  await claim();
  const { reader } = await readUntil((await events()).body, 'running');
  await reader.cancel();
  await until(async () => typeof (await stateOf(stub)).abandon_at === 'number');
  const back = await readUntil((await events()).body, 'running');
  expect((await stateOf(stub)).abandon_at).toBeNull();
  expect((await ledger.view('tenant'))?.status).toBe('running');
  await back.reader.cancel();
});

it('lets a job go on whose client does not mind', async () => {
  const { ledger, stub, claim, events } = await runningJob();
  await claim();
  const { reader } = await readUntil((await events()).body, 'running');
  await reader.cancel();
  await runDurableObjectAlarm(stub);
  expect((await ledger.view('tenant'))?.status).toBe('running');
});
