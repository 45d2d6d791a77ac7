/** Computing processes that outlive an order: what the next one finds, and what ends them. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { Order } from '../../../gpu-worker/worker/computation-messages.ts';
import { Computations } from '../../../gpu-worker/worker/computations.ts';
import { childrenOf } from '../../end-to-end/support/stack.ts';
import { TINY, tinyModel } from '../../support/tiny-model.ts';
import { until } from '../../support/until.ts';
import { wordTokenizer } from '../../support/word-tokenizer.ts';

const data = mkdtempSync(join(tmpdir(), 'sextant-computations-'));
const [scratch, cache] = [join(data, 'scratch'), join(data, 'cache')];
const model = tinyModel(TINY.llama!, { tokenizer: wordTokenizer() });
afterAll(() => {
  model.remove();
  rmSync(data, { recursive: true });
});

let computations: Computations;
const printed: string[] = [];
const begin = (memory_limit_bytes = 1e9): void => {
  computations = new Computations({ scratch, cache, memory_limit_bytes, output: (_, text) => printed.push(text) });
};
afterEach(async () => {
  await computations.close();
  process.env.NODE_OPTIONS = '';
});

/** Preloads a module into computing processes that are started from now on. */
const preload = (name: string): void => {
  process.env.NODE_OPTIONS = `--import=${join(import.meta.dirname, 'support', name)}`;
};

const order = (type: string, params: Record<string, unknown>): Order => ({
  type,
  params,
  inputs: [],
  checkpoint: null,
  owner: 'someone',
  followed: false,
  scratch: mkdtempSync(join(data, 'attempt-')),
  memory: join(data, 'memory'),
  configuration: {
    device: 'cpu',
    threads: 1,
    models: { tiny: model.folder },
    corpora: {},
    hubs: {},
    cache,
    memory_limit_bytes: 1e9,
  },
});
const diagnostics = (params: Record<string, unknown> = {}): Order =>
  order('diagnostics.run', {
    steps: 1,
    step_ms: 0,
    busy: false,
    allocate_bytes: 0,
    fail_at: null,
    fail_as: 'permanent',
    artefacts: 1,
    artefact_bytes: 64,
    padding: '',
    seed: 0,
    ...params,
  });
const generation = (params: Record<string, unknown> = {}): Order =>
  order('lm.generate', {
    model: { local: 'tiny' },
    prompts: ['w2 w3 w4'],
    max_tokens: 8,
    temperature: 0.7,
    top_k: null,
    top_p: null,
    repetition_penalty: 1,
    stop: [],
    runs: [{ label: 'plain', vectors: [] }],
    steer: 'all',
    allow_mismatch: false,
    seed: 3,
    ...params,
  });
const OUTLETS = { keep: async () => true, tokens: () => {} };
const start = (what: Order) => computations.start(what, OUTLETS);
const ended = async (what: Order) => {
  const ending = await start(what).ended;
  if (ending.kind !== 'done') {
    throw new Error(JSON.stringify(ending));
  }
  return ending.written;
};

describe('a computing process', () => {
  it('takes one order after the other, and the same order gives the same bits cold and warm', async () => {
    begin();
    computations.prepare();
    const [pid] = childrenOf(process.pid);
    const { result: cold } = await ended(generation());
    await ended(diagnostics({ seed: 7 }));
    await ended(generation({ seed: 4, prompts: ['w9', 'w8 w7'] }));
    const { result: warm } = await ended(generation());
    expect(warm).toEqual(cold);
    expect(childrenOf(process.pid)).toEqual([pid]);
    await computations.close();
    begin();
    const { result: again } = await ended(generation());
    expect(again).toEqual(cold);
  });

  it('is ended alone when its order is stopped, and the next one is being started by then', async () => {
    begin();
    const computation = start(diagnostics({ step_ms: 60_000, busy: true }));
    const before = childrenOf(process.pid);
    computation.stop('canceled');
    await expect(computation.ended).resolves.toEqual({ kind: 'stopped', reason: 'canceled' });
    const after = childrenOf(process.pid).filter((pid) => !before.includes(pid));
    expect(after).toHaveLength(1);
    await ended(diagnostics());
    expect(childrenOf(process.pid)).toEqual(after);
  });

  it('takes several orders at a time; one that is stopped ends alone if it can, and else gives the others back', async () => {
    begin();
    await ended(generation());
    const [pid] = childrenOf(process.pid);
    const long = start(generation({ max_tokens: 24, prompts: ['w5 w6'] }));
    const beside = start(generation());
    const stopped = start(generation({ prompts: ['w7 w8'], max_tokens: 24 }));
    stopped.stop('canceled');
    expect(await stopped.ended).toEqual({ kind: 'stopped', reason: 'canceled' });
    expect([(await long.ended).kind, (await beside.ended).kind]).toEqual(['done', 'done']);
    expect(childrenOf(process.pid)).toEqual([pid]);
    const stubborn = start(diagnostics({ step_ms: 60_000, busy: true }));
    const innocent = start(generation());
    stubborn.stop('timeout');
    expect(await stubborn.ended).toEqual({ kind: 'stopped', reason: 'timeout' });
    expect(await innocent.ended).toEqual({ kind: 'stopped', reason: 'displaced' });
  });

  it('of its own computes an order that failed before, and goes with it', async () => {
    begin();
    await ended(diagnostics());
    const before = childrenOf(process.pid);
    const alone = computations.start(diagnostics({ fail_at: 1, fail_as: 'crash' }), OUTLETS, { alone: true });
    const beside = start(diagnostics({ steps: 3, step_ms: 100 }));
    expect([(await alone.ended).kind, (await beside.ended).kind]).toEqual(['crashed', 'done']);
    await until(() => childrenOf(process.pid).length === 1, 'the process to go');
    expect(childrenOf(process.pid)).toEqual(before);
  });

  it('fails its order by garbage on its channel, and prints nothing that this process would not tell apart', async () => {
    preload('writes-garbage.ts');
    begin();
    const ending = await start(diagnostics({ steps: 100, step_ms: 100 })).ended;
    const detail = 'the process wrote something that is no message';
    expect(ending).toEqual({ kind: 'crashed', detail, started: true });
    expect(printed).toContain('{"level":"info","event":"completed","forged":true}');
  });

  it('that does not start is told as that', async () => {
    preload('does-not-start.ts');
    begin();
    expect(await start(diagnostics()).ended).toMatchObject({ kind: 'crashed', started: false });
  });

  it('is ended by a crash and by the memory limit, each of which is told', async () => {
    begin(400_000_000);
    const crashed = await start(diagnostics({ fail_at: 1, fail_as: 'crash' })).ended;
    expect(crashed).toMatchObject({ kind: 'crashed', detail: expect.stringContaining('SIGKILL') });
    const large = start(diagnostics({ steps: 40, step_ms: 50, allocate_bytes: 2e9 }));
    await expect(large.ended).resolves.toEqual({ kind: 'stopped', reason: 'memory' });
    await ended(diagnostics());
  });

  it('takes no other order where one has left something in its environment', async () => {
    preload('leaves-behind.ts');
    begin();
    await ended(diagnostics());
    const [first] = childrenOf(process.pid);
    await ended(diagnostics({ padding: 'leave something' }));
    await ended(diagnostics());
    expect(childrenOf(process.pid)).not.toContain(first);
  });

  it('holds no prompt, no address and no file of an order that is over', async () => {
    preload('heap-on-signal.ts');
    const heap = join(data, 'heap.json');
    process.env.HEAP_FILE = heap;
    begin();
    // Words that the tokenizer does not know: nothing but the params and the address holds them.
    const [said, address] = ['whispered-to-one-job-alone', 'signed-address-of-one-job'];
    const secret = generation({ prompts: [`w2 ${said}`] });
    const url = `http://127.0.0.1:1/${address}`;
    const blobs = [{ name: 'x', sha256: 'a'.repeat(64), bytes: 1, media_type: 'text/plain', url }];
    secret.inputs = [{ id: 'art_1', manifest: null, blobs }];
    await ended(secret);
    expect(readdirSync(secret.scratch)).toEqual([]);
    await ended(generation());
    const [pid] = childrenOf(process.pid);
    process.kill(pid!, 'SIGUSR2');
    await until(() => existsSync(heap), 'the heap');
    const text = readFileSync(heap, 'latin1');
    // What is standing is there, so the search would find what is.
    expect(text.includes(model.folder)).toBe(true);
    expect([text.includes(said), text.includes(address)]).toEqual([false, false]);
  });
});
