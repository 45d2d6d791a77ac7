import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { merged, scaledWriters } from '../../../gpu-worker/directions/refusal/weight-edits.ts';
import { loadModel, SIDE_PATHS_FILE, writeEditedFolder } from '../../../gpu-worker/lm/index.ts';
import contract from '../../../shared/jobs/refusal.repair.ts';
import { LocalJobs } from '../../support/job-context.ts';
import { type PlantedFamily, plantedQuestions, plantedRefusal } from '../../support/planted-refusal.ts';
import { TINY, tinyModel } from '../../support/tiny-model.ts';

const SIZES = { train: 32, validation: 16, test: 16 };
const scratch = mkdtempSync(join(tmpdir(), 'sextant-repair-'));
const models: Record<string, string> = {};
const jobs = new LocalJobs({ models });
const params = {
  harmful: { texts: plantedQuestions('harmful', SIZES) },
  harmless: { texts: plantedQuestions('harmless', SIZES) },
  refusal_tokens: ['SORRY'],
  phrases: ['sorry'],
  max_tokens: 1,
};
const FAMILIES: PlantedFamily[] = ['llama', 'gemma2'];
const planted = FAMILIES.map((family) => ({ family, ...plantedRefusal(family) }));

beforeAll(async () => {
  for (const { family, folder, direction } of planted) {
    models[family] = folder;
    const model = await loadModel(folder);
    models[`${family}-weak`] = join(scratch, family);
    const weak = merged(model.folder, scaledWriters(model.folder, direction, 0.1));
    writeEditedFolder(model.folder, models[`${family}-weak`]!, weak.weights);
    await model.release();
  }
});
afterAll(() => {
  jobs.close();
  for (const { remove } of planted) {
    remove();
  }
  rmSync(scratch, { recursive: true });
});

const repair = (family: string, change: Record<string, unknown>) =>
  jobs.run(contract, { ...params, model: { local: family }, copy: { local: `${family}-weak` }, ...change });

describe('refusal.repair', () => {
  it('writes the direction back where the copy lost it, and only along that direction', async () => {
    const { result, published } = await repair('llama', { alphas: [0, 1, 3, 9], blocks: [0] });
    expect(result.copy.refusal.value).toBe(0);
    expect(result.chosen).toMatchObject({ block: 0, refusal: 1, over_refusal: 0, answers: 1 });
    expect(result.points[0]).toMatchObject({ alpha: 0, kl: 0, edit_norm: 0 });
    expect(result.claim).toBe(true);
    expect(result.random.same_norm.high).toBeLessThan(0.2);
    expect(result.repaired).toMatchObject({ over_refusal: { value: 0 }, answers: { value: 1 } });
    expect(result.repaired!.refusal.value).toBeGreaterThan(0.9);
    expect(result.path_gap).toBeLessThan(1e-4);
    expect(published.map(({ kind }) => kind)).toEqual(['report', 'model']);
  });

  it('leaves the stored weights alone where the edit lies beside them', async () => {
    const { result } = await repair('llama', { alphas: [9], blocks: [0], store: 'side_path' });
    const { blobs } = jobs.published.get(result.model!)!;
    expect(blobs.map(({ name }) => name)).toContain(SIDE_PATHS_FILE);
    expect(result.path_gap).toBe(0);
    expect(result.weights!.matrices.map(({ side_path_numbers }) => side_path_numbers)).toEqual([96, 80]);
    expect(result.weights!.sparsity_after).toBe(result.weights!.sparsity_before);
    const again = await jobs.run(contract, {
      ...params,
      model: { local: 'llama' },
      copy: { id: result.model! },
      alphas: [1],
      blocks: [0],
    });
    expect(again.result.copy.refusal.value).toBe(result.repaired!.refusal.value);
  });

  it('says that none qualifies where the limits allow nothing', async () => {
    const { result, published } = await repair('llama', { alphas: [9], blocks: [0], limits: { kl: 1e-12 } });
    expect(result).toMatchObject({ model: null, chosen: null, repaired: null, path_gap: null });
    expect(published.map(({ kind }) => kind)).toEqual(['report']);
  });

  it.each(['B', 'C'] as const)('offers variant %s', async (variant) => {
    const { result } = await repair('llama', { variant, alphas: [1], blocks: [0], limits: { kl: 100 } });
    expect(result.points[0]!.refusal).toBe(1);
    expect(result.path_gap ?? 0).toBeLessThan(1e-4);
  });

  it('edits before the norms that follow in a family that has them', async () => {
    const { result } = await repair('gemma2', { alphas: [0, 9], blocks: [0] });
    expect(result.points[0]!.kl).toBe(0);
    expect(result.points[1]!.refusal_score).toBeGreaterThan(result.points[0]!.refusal_score);
    expect(result.path_gap ?? 0).toBeLessThan(1e-4);
  });

  it('refuses a copy of another width', async () => {
    const other = tinyModel(TINY.llama!);
    models.other = other.folder;
    await expect(repair('llama', { copy: { local: 'other' } })).rejects.toThrow(/\/copy: its width is 16, .* 48/);
    other.remove();
  });
});
