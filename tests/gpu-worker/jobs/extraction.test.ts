/** An extraction that goes on from a checkpoint leaves what an uninterrupted one leaves. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import activationsExtract from '../../../shared/jobs/activations.extract.ts';
import { manifestId } from '../../../shared/signing/digest.ts';
import { LocalJobs } from '../../support/job-context.ts';
import { TINY, type TinyModel, tinyModel } from '../../support/tiny-model.ts';
import { wordTokenizer } from '../../support/word-tokenizer.ts';

describe('an extraction', () => {
  let tiny: TinyModel;
  let jobs: LocalJobs;
  const params = {
    model: { local: 'tiny' },
    hooks: ['resid_post.1', 'mlp_act.0'],
    corpus: { local: 'words' },
    context: 16,
    batch: 7,
    tokens: 9000,
    shard_tokens: 1024,
  };
  beforeAll(() => {
    tiny = tinyModel(TINY.llama!, { tokenizer: wordTokenizer() });
    jobs = new LocalJobs({ models: { tiny: tiny.folder } });
    const words = (i: number) => Array.from({ length: 1 + (i % 40) }, (_, j) => `w${2 + ((i * j + i) % 58)}`).join(' ');
    const text = Array.from({ length: 600 }, (_, i) => words(i)).join('\n\n');
    writeFileSync(join(jobs.folder, 'words.txt'), text);
    Object.assign(jobs.configuration.corpora, { words: join(jobs.folder, 'words.txt') });
  });
  afterAll(() => {
    jobs.close();
    tiny.remove();
  });

  it('resumed after its first shard gives the same manifest, and computes only what is missing', async () => {
    const whole = await jobs.run(activationsExtract, params);
    const [saved] = jobs.checkpoints;
    expect(saved!.state).toMatchObject({ tokens: 1024, shards: 1 });
    // 1024 is no multiple of what a batch holds: the next token lies within one.
    expect(saved!.state.done).toBeGreaterThan(0);
    jobs.progress.length = 0;
    const resumed = await jobs.run(activationsExtract, params, saved);
    expect(await manifestId(resumed.published[0]!)).toBe(await manifestId(whole.published[0]!));
    expect(resumed.metrics.tokens_resumed).toBe(1024);
    expect(jobs.progress[0]!.metrics.tokens).toBeLessThan(1024 + 2 * 7 * 16);
  });

  it('with a checkpoint of everything computes nothing', async () => {
    const once = { ...params, tokens: 1024 };
    jobs.checkpoints.length = 0;
    const whole = await jobs.run(activationsExtract, once);
    const again = await jobs.run(activationsExtract, once, jobs.checkpoints[0]);
    expect(again.metrics.tokens_resumed).toBe(1024);
    expect(await manifestId(again.published[0]!)).toBe(await manifestId(whole.published[0]!));
  });

  it.each([
    ['of another corpus', { corpus: 'c'.repeat(64) }],
    ['of another model', { model: 'd'.repeat(64) }],
    ['of another number of shards', { shards: 2 }],
    ['of another form', { tokens: -1 }],
  ])('does not trust a checkpoint %s', async (_what, change) => {
    const once = { ...params, tokens: 1024 };
    const [saved] = jobs.checkpoints;
    const { metrics } = await jobs.run(activationsExtract, once, {
      ...saved!,
      state: { ...saved!.state, ...change },
    });
    expect(metrics.tokens_resumed).toBe(0);
  });
});
