/** Trainings that end on another worker than they began on: what the two publish is what one alone would have. */

import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  PUBLISHED_LIMIT,
  pauseAfter,
  TrainingCheckpoints,
} from '../../../gpu-worker/jobs/checkpoints/training-checkpoints.ts';
import type { StoredArrays } from '../../../gpu-worker/training/index.ts';
import type { Manifest } from '../../../shared/contracts/manifest.ts';
import { JOB_CONTRACTS } from '../../../shared/jobs/index.generated.ts';
import lmEvaluate from '../../../shared/jobs/lm.evaluate.ts';
import { manifestId } from '../../../shared/signing/digest.ts';
import { LocalJobs } from '../../support/job-context.ts';
import { savePlantedModel } from '../../support/planted-model.ts';

/** Makes a training save at every opportunity: between two looks at the clock it moves by a second. */
function hurryClock(): void {
  let now = performance.now();
  vi.spyOn(performance, 'now').mockImplementation(() => {
    now += 1000;
    return now;
  });
}

const ids = (published: readonly Manifest[]): Promise<string[]> => Promise.all(published.map(manifestId));

describe('a training', () => {
  const workers: LocalJobs[] = [];
  let folder: string;
  const worker = (): LocalJobs => {
    workers.push(new LocalJobs({ models: { planted: folder } }));
    return workers.at(-1)!;
  };
  beforeAll(async () => {
    const first = new LocalJobs();
    workers.push(first);
    folder = join(first.folder, 'model');
    await savePlantedModel(folder, { steps: 8, width: 16 });
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });
  afterAll(() => {
    for (const one of workers) {
      one.close();
    }
  });

  const cases = {
    'sae.train': {
      model: { local: 'planted' },
      hook: 'resid_post.0',
      corpus: { planted: { seed: 0 } },
      context: 20,
      batch: 128,
      steps: 60,
      dead_tokens: 1000,
      saes: [
        { variant: 'abstopk', width: 40, k: 3 },
        { variant: 'jumprelu', width: 24, sparsity: 0.01 },
        { variant: 'batch_topk', width: 24, k: 3 },
      ],
    },
    'lm.train': { corpus: { planted: { seed: 0 } }, context: 12, batch: 8, layers: 1, width: 16, heads: 2, steps: 40 },
    'lm.train, further': {
      from: { local: 'planted' },
      corpus: {
        texts: Array.from(
          { length: 30 },
          (_, i) => `the road ${i % 2 ? 'was' : 'will'} ${'a stone '.repeat(1 + (i % 4))}`,
        ),
      },
      context: 10,
      batch: 4,
      steps: 40,
      freeze: ['*norm*'],
    },
  };

  it.each(Object.entries(cases))('%s goes on from any of its checkpoints to the same weights', async (name, params) => {
    const contract = JOB_CONTRACTS[name.split(',')[0]!]!;
    const whole = await worker().run(contract, params);
    expect(whole.metrics.steps_resumed).toBe(0);

    const first = worker();
    hurryClock();
    await first.run(contract, params);
    vi.restoreAllMocks();
    expect(first.checkpoints.length).toBeGreaterThan(2);
    const steps = new Set<number>();
    for (const last of [first.checkpoints[0]!, first.checkpoints.at(-1)!]) {
      const rest = await worker().run(contract, params, last);
      steps.add(rest.metrics.steps_resumed!);
      expect(await ids(rest.published)).toEqual(await ids(whole.published));
      const { first_step: _one, tokens_per_s: _own, ...result } = rest.result as Record<string, unknown>;
      expect(whole.result).toMatchObject(result);
    }
    expect(steps.size).toBe(2);
    expect(Math.min(...steps)).toBeGreaterThan(0);
  });

  it('takes the models that were kept before along, and publishes the same', async () => {
    const params = { ...cases['lm.train'], checkpoints: [2, 5, 40] };
    const contract = JOB_CONTRACTS['lm.train']!;
    const whole = await worker().run(contract, params);
    expect(whole.published).toHaveLength(4);
    const first = worker();
    hurryClock();
    await first.run(contract, params);
    vi.restoreAllMocks();
    const last = first.checkpoints.at(-1)!;
    expect((last.state.kept as { step: number }[]).map(({ step }) => step)).toEqual([2, 5]);
    const rest = await worker().run(contract, params, last);
    expect(rest.metrics.steps_resumed).toBeGreaterThan(5);
    expect(await ids(rest.published)).toEqual(await ids(whole.published));
    // Where one of them is missing, the training begins anew.
    const blobs = last.blobs.filter(({ name }) => !name.startsWith('kept-'));
    const without = { ...last, blobs, state: { ...last.state, kept: [] } };
    expect((await worker().run(contract, params, without)).metrics.steps_resumed).toBe(0);
  });

  it.each(Object.entries(cases))(
    '%s starts from the beginning where the checkpoint is of other text',
    async (name, params) => {
      const contract = JOB_CONTRACTS[name.split(',')[0]!]!;
      const first = worker();
      hurryClock();
      await first.run(contract, params);
      vi.restoreAllMocks();
      const last = first.checkpoints.at(-1)!;
      const other = { ...last, state: { ...last.state, corpus: '0'.repeat(64) } };
      expect((await worker().run(contract, params, other)).metrics.steps_resumed).toBe(0);
    },
  );
});

describe('an evaluation', () => {
  it('goes on after the runs that were measured already, to the same result', async () => {
    const planted = new LocalJobs();
    try {
      const folder = join(planted.folder, 'model');
      await savePlantedModel(folder, { steps: 8, width: 16 });
      (planted.configuration.models as Record<string, string>).planted = folder;
      const params = {
        model: { local: 'planted' },
        corpus: { planted: { seed: 0 } },
        tokens: 200,
        context: 20,
        prompts: ['the road'],
        targets: [{ label: 'stone', tokens: ['stone'] }],
        runs: ['a', 'b', 'c', 'd'].map((label) => ({ label })),
      };
      hurryClock();
      const whole = await planted.run(lmEvaluate, params);
      expect(planted.checkpoints.length).toBeGreaterThan(1);
      const last = planted.checkpoints.at(-1)!;
      planted.progress.length = 0;
      const rest = await planted.run(lmEvaluate, params, last);
      expect(rest.result).toEqual(whole.result);
      expect(await ids(rest.published)).toEqual(await ids(whole.published));
      // The first that is told is what the other attempt had done.
      expect(planted.progress[0]!.metrics.runs).toBe(last.state.done);
      const other = { ...last, state: { ...last.state, sweep: '0'.repeat(64) } };
      planted.progress.length = 0;
      await planted.run(lmEvaluate, params, other);
      expect(planted.progress[0]!.metrics.runs).toBe(1);
    } finally {
      vi.restoreAllMocks();
      planted.close();
    }
  });
});

describe('what is published of a training', () => {
  const arrays = (...bytes: number[]): StoredArrays =>
    Object.fromEntries(
      bytes.map((byteLength, i) => [i, { shape: [1], data: { byteLength } as unknown as Float32Array }]),
    );
  it('is what the store takes: neither the whole nor one array above its limit', () => {
    const checkpoints = new TrainingCheckpoints({
      checkpoint: { last: null, urgent: false, save: async () => true },
      scratch: '',
    });
    const quarter = PUBLISHED_LIMIT / 4;
    expect(checkpoints.fits(arrays(1e8, 1e8, 1e8))).toBe(true);
    expect(checkpoints.fits(arrays(quarter))).toBe(false);
    expect(checkpoints.fits(arrays(...new Array(8).fill(quarter / 2)))).toBe(true);
    expect(checkpoints.fits(arrays(...new Array(8).fill(quarter / 2), 1))).toBe(false);
  });

  it('comes often while a run is young and its state small, and never more than 45 GB a day', () => {
    expect(pauseAfter(1e3, 0)).toBe(2000);
    expect(pauseAfter(1e3, 60_000)).toBe(6000);
    expect(pauseAfter(1e3, 1e9)).toBe(600_000);
    for (const bytes of [1e6, 1e8, PUBLISHED_LIMIT]) {
      for (const elapsed of [0, 1e5, 1e9]) {
        const perDay = (bytes * 86_400_000) / pauseAfter(bytes, elapsed);
        expect(perDay).toBeLessThanOrEqual(45e9);
      }
    }
  });
});
