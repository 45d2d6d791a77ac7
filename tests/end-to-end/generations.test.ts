/** Text in a request: waited for, streamed, resumed, through OpenAI's own client, and what becomes of a client that leaves. */
import { execFile, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { EventSource } from 'eventsource';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Sextant } from '../../edge/client/index.ts';
import type { Job } from '../../shared/contracts/job.ts';
import type { TokenPiece } from '../../shared/contracts/token-piece.ts';
import { readSafetensors } from '../../shared/formats/safetensors.ts';
import { TINY, type TinyModel, tinyModel } from '../support/tiny-model.ts';
import { until } from '../support/until.ts';
import { wordTokenizer } from '../support/word-tokenizer.ts';
import { Stack, type WorkerOptions } from './support/stack.ts';

const stack = new Stack();
let model: TinyModel;
let options: WorkerOptions;
let client: OpenAI;

beforeAll(async () => {
  const config = { ...TINY.llama, max_position_embeddings: 4096 };
  model = tinyModel(config, { tokenizer: wordTokenizer() });
  options = { models: { tiny: model.folder } };
  await stack.start();
  await stack.startWorker(options);
  client = new OpenAI({ baseURL: `${stack.edge.url}/v1`, apiKey: stack.key, maxRetries: 0 });
  const refused = await stack.call('POST', '/v1/generations', { body: { model: 'tiny', prompts: ['w3'] } });
  expect(refused.status).toBe(422);
  const problem = (await refused.json()) as { code: string; detail: string };
  expect(problem.code).toBe('model_unknown');
  // what the refusal says would load it does
  expect(problem.detail).toContain('{"type": "lm.generate", "params": {"model": {"local":"tiny"}');
  await stack.ended(await stack.postJob('lm.generate', { model: { local: 'tiny' }, prompts: ['w3'], max_tokens: 1 }));
}, 180_000);
afterAll(async () => {
  await stack.stop();
  model.remove();
});

const LONG = { model: 'tiny', prompts: ['w3 w7'], max_tokens: 600, temperature: 1, seed: 5, stream: true };
type Texts = { runs: { label: string; texts: { text: string; tokens: number[] }[] }[] };
const textOf = (job: Job) => (job.result as unknown as Texts).runs[0]!.texts[0]!;
const framesOf = (text: string) =>
  text
    .split('\n\n')
    .filter((frame) => frame.includes('data: '))
    .map((frame) => ({
      event: /^event: (.*)$/m.exec(frame)?.[1],
      id: /^id: (.*)$/m.exec(frame)?.[1],
      data: JSON.parse(/^data: (.*)$/m.exec(frame)?.[1] ?? 'null'),
    }));

describe('POST /v1/generations', () => {
  it('answers with the job, ended', async () => {
    const body = { model: 'tiny', prompts: ['w3 w7'], max_tokens: 5 };
    const answer = await stack.call('POST', '/v1/generations', { body });
    expect(answer.status).toBe(200);
    const job = (await answer.json()) as Job;
    expect(job).toMatchObject({ type: 'lm.generate', status: 'succeeded' });
    expect(await stack.job(job.id)).toEqual(job);
    expect(textOf(job).tokens).toHaveLength(5);
  });

  it('streams what becomes of the texts of both runs, and the job', async () => {
    const runs = [{ label: 'plain' }, { label: 'same' }];
    const body = { model: 'tiny', prompts: ['w3 w7', 'w9'], max_tokens: 6, alternatives: 2, runs, stream: true };
    const answer = await stack.call('POST', '/v1/generations', { body });
    expect(answer.headers.get('content-type')).toContain('text/event-stream');
    const frames = framesOf(await answer.text());
    const job = frames.at(-1)!.data as Job;
    expect(frames.at(-1)).toMatchObject({ event: 'job', data: { status: 'succeeded' } });
    expect(answer.headers.get('location')).toBe(`/v1/jobs/${job.id}`);
    for (const [run, { texts }] of (job.result as unknown as Texts).runs.entries()) {
      for (const [prompt, { text, tokens }] of texts.entries()) {
        const pieces = frames
          .filter(({ event, data }) => event === 'tokens' && data.run === run && data.prompt === prompt)
          .map(({ data }) => data as TokenPiece);
        expect(pieces.map((piece) => piece.text).join('')).toBe(text);
        expect(pieces.flatMap((piece) => piece.tokens)).toEqual(tokens);
        expect(pieces.at(-1)!.finish).toBe('length');
        expect(pieces.flatMap((piece) => piece.alternatives ?? []).every((at) => at.length === 2)).toBe(true);
      }
    }
  });

  it('goes on for a client that comes back, by its events', async () => {
    const headers = { 'idempotency-key': 'comes-back' };
    const leaving = new AbortController();
    const first = await fetch(`${stack.edge.url}/v1/generations`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stack.key}`, 'content-type': 'application/json', ...headers },
      body: JSON.stringify(LONG),
      signal: leaving.signal,
    });
    const begun = await first.body!.getReader().read();
    expect(begun.done).toBe(false);
    leaving.abort();
    const location = first.headers.get('location')!;
    const source = new EventSource(`${stack.edge.url}${location}/events`, {
      fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, authorization: `Bearer ${stack.key}` } }),
    });
    let text = '';
    let last = '';
    await new Promise<void>((resolve) => {
      source.addEventListener('tokens', ({ data, lastEventId }) => {
        text += (JSON.parse(data) as TokenPiece).text;
        last = lastEventId;
      });
      source.addEventListener('status', ({ data }) => {
        if (['succeeded', 'failed', 'canceled'].includes((JSON.parse(data) as Job).status)) {
          resolve();
        }
      });
    });
    source.close();
    const job = await stack.job(location.split('/').at(-1)!);
    expect(job.status).toBe('succeeded');
    expect(text).toBe(textOf(job).text);
    // the same request again is the same job, behind what the client has
    const again = await stack.call('POST', '/v1/generations', {
      body: LONG,
      headers: { ...headers, 'last-event-id': String(Number(last) - 1) },
    });
    const frames = framesOf(await again.text());
    expect(frames[0]!.id).toBe(last);
    expect(frames.at(-1)!.data.id).toBe(job.id);
  });

  it('continues the stream from the next attempt when its worker is killed, and says so', async () => {
    const answer = await stack.call('POST', '/v1/generations', { body: LONG });
    const reader = answer.body!.getReader();
    const decoder = new TextDecoder();
    let text = '';
    let killed = false;
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      text += decoder.decode(part.value, { stream: true });
      if (!killed && text.includes('event: tokens')) {
        killed = true;
        await stack.stopWorkers();
        await stack.startWorker(options);
      }
    }
    const frames = framesOf(text);
    const job = frames.at(-1)!.data as Job;
    expect(job).toMatchObject({ status: 'succeeded', attempt: 2 });
    const pieces = frames.filter(({ event }) => event === 'tokens').map(({ data }) => data);
    expect(pieces.map((piece) => piece.text).join('')).toBe(textOf(job).text);
    expect(pieces.flatMap((piece) => piece.tokens)).toEqual(textOf(job).tokens);
    expect(new Set(pieces.map((piece) => piece.attempt))).toEqual(new Set([1, 2]));
  }, 60_000);
});

describe("OpenAI's client", () => {
  const ask = { model: 'tiny', messages: [{ role: 'user' as const, content: 'w3 w7' }] };

  it('lists models, and finds one by its name', async () => {
    const models = await client.models.list();
    expect(models.data.map(({ id, object }) => [id, object])).toEqual([['tiny', 'model']]);
    expect(await client.models.retrieve('tiny')).toMatchObject({ id: 'tiny', object: 'model' });
  });

  it('gets whole answers, with log-probabilities and several choices', async () => {
    const options = { max_completion_tokens: 6, temperature: 0, n: 2, logprobs: true, top_logprobs: 3 };
    const answer = await client.chat.completions.create({ ...ask, ...options });
    expect(answer.object).toBe('chat.completion');
    expect(answer.choices.map(({ index, finish_reason }) => [index, finish_reason])).toEqual([
      [0, 'length'],
      [1, 'length'],
    ]);
    const [choice] = answer.choices;
    expect(choice!.message.role).toBe('assistant');
    const { content } = choice!.logprobs!;
    expect(content).toHaveLength(6);
    expect(content![0]!.top_logprobs).toHaveLength(3);
    // greedy: what was chosen is the likeliest
    expect(content![0]!.logprob).toBeCloseTo(content![0]!.top_logprobs[0]!.logprob, 6);
    expect(answer.usage!.completion_tokens).toBe(12);
    const text = await client.completions.create({ model: 'tiny', prompt: ['w3', 'w4'], max_tokens: 4, logprobs: 1 });
    expect(text.choices.map(({ index }) => index)).toEqual([0, 1]);
    expect(text.choices[0]!.logprobs!.tokens).toHaveLength(4);
  });

  it('gets a stream that adds up to the whole answer, ends each choice, and tells the usage last', async () => {
    const body = { ...ask, max_tokens: 8, temperature: 0 };
    const whole = await client.chat.completions.create(body);
    const stream = await client.chat.completions.create({
      ...body,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) {
      chunks.push(chunk);
    }
    const choices = chunks.flatMap((chunk) => chunk.choices);
    expect(choices[0]!.delta.role).toBe('assistant');
    expect(choices.map(({ delta }) => delta.content ?? '').join('')).toBe(whole.choices[0]!.message.content);
    expect(choices.slice(0, -1).every(({ finish_reason }) => finish_reason === null)).toBe(true);
    expect(choices.at(-1)).toMatchObject({ delta: {}, finish_reason: 'length' });
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: whole.usage });
    const completion = await client.completions.create({
      model: 'tiny',
      prompt: 'w3',
      max_tokens: 3,
      temperature: 0,
      stream: true,
    });
    let text = '';
    for await (const chunk of completion) {
      text += chunk.choices[0]?.text ?? '';
    }
    expect(text.split(' ').filter(Boolean)).toHaveLength(3);
  });

  it('is told what was wrong in its own words', async () => {
    const unknown = client.chat.completions.create({ ...ask, model: 'nobody' });
    await expect(unknown).rejects.toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
    const tools = [{ type: 'function' as const, function: { name: 'f' } }];
    const withTools = client.chat.completions.create({ ...ask, tools });
    await expect(withTools).rejects.toBeInstanceOf(OpenAI.BadRequestError);
    await expect(withTools).rejects.toMatchObject({ code: 'unsupported_parameter', param: 'tools' });
    const many = client.chat.completions.create({ ...ask, stop: Array.from({ length: 10_000 }, (_, i) => `s${i}`) });
    await expect(many).rejects.toMatchObject({ status: 400, param: 'stop' });
    const stranger = new OpenAI({ baseURL: `${stack.edge.url}/v1`, apiKey: 'sk-unknown', maxRetries: 0 });
    await expect(stranger.chat.completions.create(ask)).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    const foreign = {
      ...ask,
      max_tokens: 1,
      user: 'me',
      metadata: { a: 'b' },
      store: false,
      service_tier: 'auto' as const,
    };
    expect((await client.chat.completions.create(foreign)).choices).toHaveLength(1);
  });

  it('that leaves ends its job', async () => {
    const stream = await client.chat.completions.create({ ...ask, max_tokens: 3000, stream: true });
    let id = '';
    for await (const chunk of stream) {
      id = chunk.id.replace('chatcmpl-', '');
      break;
    }
    stream.controller.abort();
    await until(async () => (await stack.job(id)).status === 'canceled', 'the job to be canceled');
  }, 180_000);

  it('that leaves before a whole answer has come ends its job', async () => {
    const leaving = new AbortController();
    const answer = await fetch(`${stack.edge.url}/v1/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stack.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'tiny', prompt: Array(16).fill('w3 w7'), max_tokens: 4000 }),
      signal: leaving.signal,
    });
    // the answer has begun, with blanks: its texts have not ended
    expect(answer.headers.get('content-type')).toBe('application/json');
    const { value } = await answer.body!.getReader().read();
    expect(new TextDecoder().decode(value).trim().slice(0, 80)).toBe('');
    leaving.abort();
    const id = answer.headers.get('location')!.split('/').at(-1)!;
    await until(async () => (await stack.job(id)).status === 'canceled', 'the job to be canceled');
  }, 180_000);
});

/** A Python that has OpenAI's client; null where there is none. */
const python = (process.env.SEXTANT_PYTHON ?? 'python3 python').split(' ').find((name) => {
  const { status } = spawnSync(name, ['-c', 'import openai'], { stdio: 'ignore' });
  return status === 0;
});

it.skipIf(!python)(
  "OpenAI's client for Python gets the same, where it is installed",
  async () => {
    const script = join(import.meta.dirname, 'support/openai_client.py');
    const { stdout } = await promisify(execFile)(python!, [script, `${stack.edge.url}/v1`, stack.key]);
    const seen = JSON.parse(stdout);
    expect(seen).toMatchObject({
      models: ['tiny'],
      streamed: seen.whole,
      tokens: 3,
      refusals: {
        unknown: ['NotFoundError', 'model_not_found', 'model'],
        tools: ['BadRequestError', 'unsupported_parameter', 'tools'],
      },
    });
    expect(seen.usage[0]).toBe(seen.usage[1]);
    expect(seen.finish.slice(0, -1).every((reason: unknown) => reason === null)).toBe(true);
    expect(seen.finish.at(-1)).toBe('length');
  },
  60_000,
);

describe('steering in a request', () => {
  const vector = { hook: 'resid_post.0', values: Array.from({ length: 16 }, (_, i) => (i % 3) - 1) };
  const ask = { model: 'tiny', messages: [{ role: 'user', content: 'w3 w7' }], max_tokens: 8, temperature: 0 };
  const chat = async (steering: unknown) => {
    const answer = await stack.call('POST', '/v1/chat/completions', { body: { ...ask, steering } });
    return (await answer.json()) as { choices: { run: string; message: { content: string } }[]; error: unknown };
  };

  it('answers side by side, steered by numbers of its own and plain, under a condition too', async () => {
    const { choices } = await chat({ vectors: [{ vector, strength: 8 }], beside_plain: true });
    expect(choices.map(({ run }) => run)).toEqual(['steered', 'plain']);
    const [steered, plain] = choices.map(({ message }) => message.content);
    expect(steered).not.toBe(plain);
    const never = await chat({ vectors: [{ vector, strength: 8, when: { vector, above: 1e6 } }] });
    expect(never.choices[0]!.message.content).toBe(plain);
  });

  it('refuses a condition of another hook point, and a hook point that the model lacks', async () => {
    const probe = { ...vector, hook: 'resid_post.1' };
    expect((await chat({ vectors: [{ vector, strength: 1, when: { vector: probe, above: 0 } }] })).error).toMatchObject(
      {
        type: 'invalid_request_error',
        message: expect.stringMatching(/resid_post.1.*resid_post.0/),
      },
    );
    const nowhere = { ...vector, hook: 'resid_post.9' };
    expect((await chat({ vectors: [{ vector: nowhere, strength: 1 }] })).error).toMatchObject({ code: 'hook_unknown' });
  });
});

it('keeps nothing in memory for a client that reads slowly, and leaves nothing out', async () => {
  const answer = await stack.call('POST', '/v1/generations', { body: { ...LONG, max_tokens: 300 } });
  const reader = answer.body!.getReader();
  await reader.read();
  const id = answer.headers.get('location')!.split('/').at(-1)!;
  // the job does not wait for its reader
  expect((await stack.ended(id)).status).toBe('succeeded');
  const decoder = new TextDecoder();
  let text = '';
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    text += decoder.decode(part.value, { stream: true });
  }
  expect(framesOf(text).at(-1)).toMatchObject({ event: 'job', data: { id } });
});

it('reads activations of prompts, as JSON and as a file', async () => {
  const body = { model: 'tiny', prompts: ['w3 w7', 'w9'], hooks: ['resid_post.0'], positions: 'last' };
  const answer = await stack.call('POST', '/v1/activations', { body });
  expect(answer.status).toBe(200);
  const rows = (await answer.json()) as { rows: { text: string }[]; hooks: Record<string, { values: number[][] }> };
  expect(rows.rows.map(({ text }) => text)).toEqual(['w7', 'w9']);
  expect(rows.hooks['resid_post.0']!.values.map(({ length }) => length)).toEqual([16, 16]);
  const file = await stack.call('POST', '/v1/activations', { body: { ...body, format: 'safetensors' } });
  const tensors = readSafetensors(new Uint8Array(await file.arrayBuffer()));
  expect([...tensors.float32('resid_post.0')]).toEqual(rows.hooks['resid_post.0']!.values.flat());
  const wrong = await stack.call('POST', '/v1/activations', { body: { ...body, hooks: ['resid_post.7'] } });
  expect(await wrong.json()).toMatchObject({ code: 'hook_unknown', errors: [{ pointer: '/hooks/0' }] });
});

describe('a tenant’s own things', () => {
  const generate = async (reference: string, steering?: unknown) => {
    const ask = { model: reference, messages: [{ role: 'user', content: 'w3 w7' }], max_tokens: 8, temperature: 0 };
    const answer = await stack.call('POST', '/v1/chat/completions', { body: { ...ask, steering } });
    return ((await answer.json()) as OpenAI.ChatCompletion).choices[0]!.message.content;
  };

  it('a vector steers under its name', async () => {
    const values = Array.from({ length: 16 }, (_, i) => (i % 3) - 1);
    const source = { format: 'json', values };
    const body = { source, model: 'tiny', hook: 'resid_post.0', residual_norm: 2, name: 'mine' };
    const uploaded = await stack.call('POST', '/v1/vectors', { body });
    expect(uploaded.status).toBe(201);
    const named = await generate('tiny', { vectors: [{ vector: { name: 'mine' }, strength: 4 }] });
    const inline = { vector: { hook: 'resid_post.0', values, residual_norm: 2 }, strength: 4 };
    expect(named).toBe(await generate('tiny', { vectors: [inline] }));
    expect(named).not.toBe(await generate('tiny'));
  });

  it('a model in parts generates as the files that it was made of, and comes back whole', async () => {
    const sextant = new Sextant({ url: stack.edge.url, key: stack.key });
    const files = await Promise.all(
      readdirSync(model.folder).map(async (name) => {
        const bytes = Uint8Array.from(readFileSync(join(model.folder, name)));
        const half = Math.ceil(bytes.length / 2);
        const parts = await Promise.all(
          [bytes.slice(0, half), bytes.slice(half)].map((part) => sextant.artefacts.upload(part, { name })),
        );
        return { name, parts: parts.map(({ id }) => id) };
      }),
    );
    const { result } = await stack.ended(await stack.postJob('model.import', { source: { files } }));
    const { model: id } = result as { model: string };
    expect(await generate(id)).toBe(await generate('tiny'));
    const file = await stack.call('GET', `/v1/models/${id}/files/model.safetensors`, {
      headers: { range: 'bytes=3-9' },
    });
    expect(file.status).toBe(206);
    const whole = readFileSync(join(model.folder, 'model.safetensors'));
    expect(Buffer.from(await file.arrayBuffer())).toEqual(whole.subarray(3, 10));
    expect((await stack.call('GET', `/v1/models/${id}/files/other.bin`)).status).toBe(404);
  });
});
