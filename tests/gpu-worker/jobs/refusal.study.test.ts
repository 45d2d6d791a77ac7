import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { merged, scaledWriters, writersOf, writtenAlong } from '../../../gpu-worker/directions/refusal/weight-edits.ts';
import { cosine } from '../../../gpu-worker/directions/vectors.ts';
import { loadModel, type SidePath, writeEditedFolder } from '../../../gpu-worker/lm/index.ts';
import type { ResultOf } from '../../../shared/jobs/contract.ts';
import contract from '../../../shared/jobs/refusal.study.ts';
import { stream } from '../../../shared/math/random.ts';
import { LocalJobs } from '../../support/job-context.ts';
import { type PlantedRefusal, plantedQuestions, plantedRefusal } from '../../support/planted-refusal.ts';

const SIZES = { train: 32, validation: 16, test: 16 };
const scratch = mkdtempSync(join(tmpdir(), 'sextant-refusal-'));
const planted: PlantedRefusal = plantedRefusal();
const models: Record<string, string> = { base: planted.folder };
const jobs = new LocalJobs({ models });
const sets = { harmful: plantedQuestions('harmful', SIZES), harmless: plantedQuestions('harmless', SIZES) };
const params = {
  model: { local: 'base' },
  harmful: { texts: sets.harmful },
  harmless: { texts: sets.harmless },
  refusal_tokens: ['SORRY'],
  phrases: ['sorry'],
  max_tokens: 1,
};

afterAll(() => {
  jobs.close();
  planted.remove();
  rmSync(scratch, { recursive: true });
});

/** A copy whose writers' share along the planted direction became `to` times itself along another. */
async function edited(name: string, paths: (model: Awaited<ReturnType<typeof loadModel>>) => Map<string, SidePath>) {
  const model = await loadModel(planted.folder);
  models[name] = join(scratch, name);
  writeEditedFolder(model.folder, models[name]!, merged(model.folder, paths(model)).weights);
  await model.release();
}

describe('refusal.study', () => {
  let result: ResultOf<typeof contract>;
  beforeAll(async () => {
    await edited('attenuated', ({ folder }) => scaledWriters(folder, planted.direction, 0.4));
    await edited('rotated', ({ folder }) => {
      const noise = stream(3, 'away').normal(planted.direction.length);
      const along = noise.reduce((sum, value, i) => sum + value * planted.direction[i]!, 0);
      const away = noise.map((value, i) => value - along * planted.direction[i]!);
      const size = Math.hypot(...away);
      const [cos, sin] = [Math.cos(Math.PI / 3), Math.sin(Math.PI / 3)];
      const left = Float32Array.from(planted.direction, (value, i) => (cos - 1) * value + (sin * away[i]!) / size);
      return new Map(
        writersOf(folder).map((linear) => [
          linear.weight.name,
          { pair: { left, right: Float32Array.from(writtenAlong(folder, linear, planted.direction)) }, constant: null },
        ]),
      );
    });
    const copies = ['base', 'attenuated', 'rotated'].map((label) => ({ label, model: { local: label } }));
    ({ result } = await jobs.run(contract, { ...params, copies, attacks: [{ kind: 'sampled', samples: 2 }] }));
  });

  it('finds the planted direction, which alone decides about refusal', () => {
    const vector = jobs.published.get(result.vector)!;
    const values = new Float32Array(Uint8Array.from(jobs.read(vector.blobs[0]!)).buffer);
    expect(Math.abs(cosine(values, planted.direction))).toBeGreaterThan(0.85);
    expect(vector).toMatchObject({ method: 'refusal', hook: `resid_pre.${result.source.layer}` });
    expect(result.base).toMatchObject({ refusal: { value: 1 }, over_refusal: { value: 0 }, answers: { value: 1 } });
    expect(result.ablated).toMatchObject({ refusal: { value: 0 }, over_refusal: { value: 0 }, answers: { value: 1 } });
    expect(result.induced.over_refusal.value).toBeGreaterThan(0.8);
    expect(result.claims).toEqual({ bypass: true, induce: true });
  });

  it('drops what has no difference, and edits weights to the same logits as hooks', () => {
    expect(result.dropped.nan).toBe(2);
    expect(result.weights!.hook_gap).toBeLessThan(1e-4);
    expect(result.weights).toMatchObject({ post_norms: false, matrices: 7 });
  });

  it('tells an untouched, an attenuated and a rotated copy apart', () => {
    expect(result.copies.map(({ label, verdict }) => [label, verdict])).toEqual([
      ['base', 'intact'],
      ['attenuated', 'attenuated'],
      ['rotated', 'moved'],
    ]);
    const [same, weaker, turned] = result.copies as [Copy, Copy, Copy];
    expect(same.cosine).toBeCloseTo(1, 6);
    expect(same.kl).toBe(0);
    expect(weaker.norm_ratio).toBeLessThan(0.7);
    expect(turned.cosine).toBeLessThan(weaker.cosine);
  });

  it('publishes numbers and pictures, and no text that the model generated', () => {
    const report = jobs.published.get(result.report)!;
    expect(report.blobs.map(({ name }) => name)).toEqual([
      'report.json',
      'bypass-base.svg',
      'induce-base.svg',
      'projections-base.svg',
      'cosine-by-copy.svg',
    ]);
    const text = jobs.read(report.blobs[0]!).toString();
    expect(text).not.toMatch(/"bs\d"/);
    expect(JSON.parse(text).kind).toBe('refusal_study');
  });

  type Copy = (typeof result.copies)[number];
});

describe('refusal.study finds nothing', () => {
  it('where the labels are shuffled', async () => {
    const all = [...sets.harmful, ...sets.harmless];
    const order = [...stream(5, 'shuffle').permutation(all.length)].map((i) => all[i]!);
    const half = order.length / 2;
    const shuffled = { harmful: { texts: order.slice(0, half) }, harmless: { texts: order.slice(half) } };
    await expect(jobs.run(contract, { ...params, ...shuffled })).rejects.toThrow(/nothing found/);
  });

  it('within thresholds that nothing meets, saying which one change would admit a candidate', async () => {
    const thresholds = { induce: 100 };
    await expect(jobs.run(contract, { ...params, thresholds })).rejects.toThrow(
      /nothing found: of 6 candidates 2 have no difference, 2 lie too late, 0 exceed .* 4 induce less than 100; induce -?[\d.]+ alone would admit position/,
    );
  });
});

describe('refusal.study refuses', () => {
  const refuses = (change: Record<string, unknown>) => expect(jobs.run(contract, { ...params, ...change })).rejects;

  it('a prompt in both sets or splits', async () => {
    const [first] = sets.harmful;
    await refuses({ harmless: { texts: [...sets.harmless, first] } }).toThrow(
      /harmless train\/32 is .*harmful train\/0/,
    );
    await refuses({ harmful: { texts: [...sets.harmful, { ...first, split: 'test' }] } }).toThrow(/test.*again/);
  });

  it('too few prompts, saying how many there are of each class', async () => {
    const few = sets.harmful.filter(({ split }, i) => split !== 'train' || i < 10);
    await refuses({ harmful: { texts: few } }).toThrow(
      /of 10 harmful and 32 harmless train prompts 10 and 32 are left/,
    );
  });

  it('tokens that are none, or that the model never begins a refusal with', async () => {
    await refuses({ refusal_tokens: ['SORRY E1'] }).toThrow(/2 tokens of the model, not one/);
    await refuses({ refusal_tokens: ['f3'] }).toThrow(/no answer of the base model .* begins with one of them/);
    await refuses({ refusal_tokens: ['unheard'] }).toThrow(/not in the vocabulary/);
  });

  it('a model without a chat template where one is asked for', async () => {
    const bare = await loadModel(planted.folder);
    models.bare = join(scratch, 'bare');
    writeEditedFolder(bare.folder, models.bare, new Map());
    await bare.release();
    rmSync(join(models.bare, 'tokenizer_config.json'));
    await refuses({ model: { local: 'bare' } }).toThrow(/no chat template/);
  });

  it('publishing an ablated model without the operator', async () => {
    await refuses({ publish_ablated: true }).toThrow(/operator/);
    const allowed = new LocalJobs({ models, allow_ablated_models: true });
    const { result } = await allowed.run(contract, { ...params, publish_ablated: true });
    expect(allowed.published.get(result.ablated_model!)).toMatchObject({ kind: 'model', method: 'refusal.study' });
    allowed.close();
  });
});
