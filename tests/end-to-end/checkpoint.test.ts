/** A worker dies in the middle of long work; another one, with folders of its own, goes on where it stood. */
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Job } from '../../shared/contracts/job.ts';
import { stream } from '../../shared/math/random.ts';
import { TINY, type TinyModel, tinyModel } from '../support/tiny-model.ts';
import { until } from '../support/until.ts';
import { wordTokenizer } from '../support/word-tokenizer.ts';
import { childrenOf, Stack, type WorkerOptions } from './support/stack.ts';

const stack = new Stack();
let tiny: TinyModel;
beforeAll(async () => {
  // Deep enough that an extraction takes some seconds, and narrow, so that its shards are small.
  const size = { hidden_size: 64, intermediate_size: 1024, num_hidden_layers: 8, max_position_embeddings: 64 };
  tiny = tinyModel({ ...TINY.llama!, ...size }, { tokenizer: wordTokenizer() });
  await stack.start();
}, 120_000);
afterEach(() => stack.stopWorkers());
afterAll(async () => {
  await stack.stop();
  tiny.remove();
});

const TOKENS = 200_000;
const SHARD = 4096;
const HOOKS = ['resid_post.1'];

/** Each worker has a copy of the corpus in a folder of its own. */
function corpusOf(name: string): Record<string, string> {
  const folder = join(stack.data, `corpus-${name}`);
  mkdirSync(folder);
  const document = (i: number) =>
    [...stream(i, 'document').integers(1 + ((i * 37) % 120), 57)].map((word) => `w${word + 2}`).join(' ');
  const lines = Array.from({ length: 5000 }, (_, i) => JSON.stringify({ text: document(i) }));
  writeFileSync(join(folder, 'words.jsonl'), lines.join('\n'));
  return { words: join(folder, 'words.jsonl') };
}
const post = () =>
  stack.postJob(
    'activations.extract',
    {
      model: { local: 'tiny' },
      hooks: HOOKS,
      corpus: { local: 'words' },
      context: 48,
      batch: 16,
      tokens: TOKENS,
      shard_tokens: SHARD,
      dtype: 'float16',
    },
    { max_attempts: 10 },
  );
const startWorker = (name: string, options: WorkerOptions = {}) =>
  stack.startWorker({ visibility_ms: 5000, models: { tiny: tiny.folder }, corpora: corpusOf(name), ...options });
/** Blobs that the job holds beside its artefacts. */
const held = async (id: string): Promise<number> =>
  (await stack.edge.execute('SELECT sha256 FROM blob_uses WHERE holder = ?', [id])).length;

describe('an extraction', () => {
  it('whose worker was killed is finished by another one, which computes only what is missing', async () => {
    const first = await startWorker('first');
    const id = await post();
    await first.logged('claimed', id);
    // Two shards and the statistics, saved while the extraction runs.
    await until(async () => (await held(id)) >= 3, 'a checkpoint of two shards', 150_000);
    const running = await stack.job(id);
    await first.end('SIGKILL');
    expect(running).toMatchObject({ status: 'running', artefacts: [] });
    expect(await stack.edge.execute('SELECT id FROM artefacts WHERE job = ?', [id])).toEqual([]);
    const shards = (await held(id)) - 1;

    await startWorker('second');
    const resumed = await stack.ended(id);
    // Two attempts, unless the machine was so busy that a lease of a few seconds ran out meanwhile.
    expect(resumed.status).toBe('succeeded');
    expect(resumed.attempt).toBeGreaterThan(1);
    await stack.assertSingleCompletion(id);
    // A checkpoint that was on its way when the worker died may have come later.
    const done = resumed.metrics!.tokens_resumed!;
    expect(done).toBeGreaterThanOrEqual(shards * SHARD);
    expect(done % SHARD).toBe(0);
    const frames = await stack.progress(id);
    const last = frames.filter((frame) => frame.attempt === resumed.attempt);
    expect(last[0]!.metrics.tokens).toBeGreaterThanOrEqual(done);
    expect(await held(id)).toBe(0);

    const whole = await stack.ended(await post());
    expect(whole.status).toBe('succeeded');
    if (whole.attempt === 1) {
      expect(whole.metrics).toMatchObject({ tokens_resumed: 0 });
    }
    expect(resumed.published).toEqual(whole.published);
    const digests = (job: typeof whole) => job.artefacts.map(({ name, sha256 }) => [name, sha256]);
    expect(digests(resumed)).toEqual(digests(whole));
    expect(resumed.result).toEqual(whole.result);
  }, 400_000);
});

describe('a training of autoencoders', () => {
  const train = () =>
    stack.postJob(
      'sae.train',
      {
        model: { local: 'tiny' },
        hook: HOOKS[0],
        corpus: { local: 'words' },
        context: 48,
        batch: 256,
        steps: 1200,
        evaluation_tokens: 1024,
        feature_dashboards: false,
        saes: [
          { variant: 'abstopk', width: 512, k: 8 },
          { variant: 'topk', width: 256, k: 8 },
        ],
      },
      { max_attempts: 10 },
    );
  /** What another worker makes of the training of this id, which the first has left, is what nobody had disturbed. */
  async function expectSameWeights(id: string): Promise<Job> {
    const resumed = await stack.ended(id);
    expect(resumed.status).toBe('succeeded');
    expect(resumed.attempt).toBeGreaterThan(1);
    await stack.assertSingleCompletion(id);
    expect(resumed.metrics!.steps_resumed).toBeGreaterThan(0);
    expect(resumed.result!.first_step).toBe(resumed.metrics!.steps_resumed);
    expect(await held(id)).toBe(0);

    const whole = await stack.ended(await train());
    expect(whole.status).toBe('succeeded');
    expect(resumed.published).toEqual(whole.published);
    return resumed;
  }

  it('whose worker was killed is finished by another one, with the same weights', async () => {
    const first = await startWorker('third');
    const id = await train();
    await first.logged('claimed', id);
    await until(async () => (await held(id)) > 0, 'a checkpoint', 150_000);
    await first.end('SIGKILL');

    await startWorker('fourth');
    await expectSameWeights(id);
  }, 400_000);

  it('whose worker is told to stop, twice, is saved and given back, and finished by one that ends when nothing waits', async () => {
    const first = await startWorker('fifth');
    const id = await train();
    await first.logged('claimed', id);
    await until(async () => (await held(id)) > 0, 'a checkpoint', 150_000);
    // as a service manager does: every process at once
    for (const pid of [...childrenOf(first.process.pid!), first.process.pid!]) {
      process.kill(pid, 'SIGTERM');
    }
    await first.end('SIGTERM');
    expect([first.process.exitCode, first.process.signalCode]).toEqual([0, null]);
    expect(first.count('released')).toBe(1);

    const second = await startWorker('sixth', { untilEmpty: true, poll_ms: 1000 });
    const ended = once(second.process, 'exit');
    await expectSameWeights(id);
    expect(await ended).toEqual([0, null]);
    expect(second.count('completed')).toBe(2);
  }, 400_000);
});
