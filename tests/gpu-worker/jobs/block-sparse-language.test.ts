import { rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import blockSparseTrain from '../../../shared/jobs/block_sparse.train.ts';
import lmEvaluate from '../../../shared/jobs/lm.evaluate.ts';
import lmGenerate from '../../../shared/jobs/lm.generate.ts';
import lmTrain from '../../../shared/jobs/lm.train.ts';
import { LocalJobs } from '../../support/job-context.ts';

let jobs: LocalJobs;
let base: string;

beforeAll(async () => {
  jobs = new LocalJobs({ threads: 1 });
  const sizes = { layers: 1, width: 32, heads: 2, mlp_width: 64, context: 16, batch: 16, steps: 40 };
  const trained = await jobs.run(lmTrain, { corpus: { planted: { seed: 1 } }, ...sizes });
  base = trained.result.model as string;
});
afterAll(() => {
  jobs.close();
  rmSync(jobs.folder, { recursive: true, force: true });
});

const task = (more: Record<string, unknown> = {}) => ({
  kind: 'lm',
  model: { id: base },
  corpus: { planted: { seed: 1 } },
  layers: ['*mlp*'],
  context: 16,
  ...more,
});

it.each(['factored', 'block_csr'])(
  'fine-tunes chosen layers of a language model, which other jobs then read: %s',
  async (format) => {
    const before = await jobs.run(lmEvaluate, {
      model: { id: base },
      corpus: { planted: { seed: 1 } },
      tokens: 2000,
    });
    const { result, published } = await jobs.run(blockSparseTrain, {
      task: task(),
      tiles: [[4, 4]],
      rank: 3,
      methods: ['dense', 'kpd'],
      lambda: [1.1],
      optimiser: 'adam',
      learning_rate: 0.003,
      steps: 40,
      batch: 16,
      format,
      tolerance: 1,
    });
    const [dense, sparse] = result.points;
    expect(sparse!.layers).toHaveLength(3);
    // The generated language never ends: what was read of it is what was sent.
    expect(result.text).toMatchObject({ split: 'train', window: 17, windows: 640, tokens: { sent: 640 * 17 } });
    expect(result.held_out_text).toMatchObject({ split: 'held_out', tokens: { left_out: { first: 512 } } });
    expect(sparse!.zero_share).toBeGreaterThan(0);
    expect(published[0]!.blobs.map(({ name }) => name)).not.toContain('model.safetensors');
    const model = { id: result.model };
    const after = await jobs.run(lmEvaluate, { model, corpus: { planted: { seed: 1 } }, tokens: 2000, context: 17 });
    const loss = (outcome: typeof after) => outcome.result.runs[0]!.loss!;
    expect(Number.isFinite(loss(before))).toBe(true);
    // What the job measured on held-out text is what the published model loses.
    expect(Math.abs(loss(after) - sparse!.test.loss)).toBeLessThan(0.05);
    expect(dense!.test.loss).toBeLessThan(loss(before) + 0.05);
    const text = await jobs.run(lmGenerate, { model, prompts: ['a'], max_tokens: 4 }).catch((error: Error) => error);
    expect(text).not.toBeInstanceOf(Error);
  },
);

it('says which layers there are where a pattern matches none', async () => {
  const params = { task: task({ layers: ['*nothing*'] }), tiles: [[4, 4]], lambda: [1] };
  await expect(jobs.run(blockSparseTrain, params)).rejects.toThrow(
    /no layer matches \*nothing\*; there are model.layers.0/,
  );
});
