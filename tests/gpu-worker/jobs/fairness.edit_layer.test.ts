import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import editLayer from '../../../gpu-worker/jobs/fairness.edit_layer.ts';
import { compilePredictor } from '../../../shared/fairness/predictors/compile.ts';
import { predictorDocumentSchema } from '../../../shared/fairness/predictors/document.ts';
import contract from '../../../shared/jobs/fairness.edit_layer.ts';
import { stream } from '../../../shared/math/random.ts';
import { asInput, jobsOfFile } from './support/run-job.ts';

const { runJob } = jobsOfFile();
const n = 600;
const z = stream(11, 'table').normal(4 * n);
const g = Array.from({ length: n }, (_, i) => (i % 3 === 0 ? 'b' : 'a'));
const x = g.map((label, i) => z[4 * i]! + (label === 'b' ? 1 : 0));
const y = x.map((value, i) => Math.tanh(value) + 0.3 * z[4 * i + 1]!);
const params = {
  table: { columns: { x, g, y } as Record<string, unknown[]> },
  target: 'y',
  group: 'g',
  features: { columns: ['x'] },
  network: { hidden: [12, 12], epochs: 8, batch: 32, learning_rate: 5e-3 },
  c1: [1, 10],
  c2: [1, 20],
  seed: 2,
};
const run = async (change: object, inputs = {}) => {
  const { outcome, files } = await runJob(contract, editLayer, { ...params, ...change }, inputs);
  return { result: outcome.result, outcome, files };
};

describe('fairness.edit_layer', () => {
  it('finds the same for a target in any unit', async () => {
    const [plain, scaled] = await Promise.all([
      run({}),
      run({ table: { columns: { x, g, y: y.map((value) => 50_000 + 15_000 * value) } } }),
    ]);
    expect(scaled.result.chosen).toBe(plain.result.chosen);
    for (const [k, point] of scaled.result.points.entries()) {
      const { mse, ks } = plain.result.points[k]!.test;
      expect(point.test.mse / 15_000 ** 2, point.method).toBeCloseTo(mse, 4);
      expect(Math.abs(point.test.ks! - ks!), point.method).toBeLessThan(0.03);
    }
    expect(scaled.result.points[scaled.result.chosen]!.test.mse).toBeLessThan(scaled.result.target_variance);
    expect(scaled.result.points.map((p) => p.method).slice(-2)).toEqual(['mean of the target', 'ridge regression']);
    expect(scaled.result.points.at(-2)!.test.mse).toBeGreaterThanOrEqual(scaled.result.target_variance);
  }, 60_000);

  it('warns of a predictor that is worse than the mean', async () => {
    const noise = z.filter((_, i) => i % 4 === 2).slice(0, n);
    const { result } = await run({
      table: { columns: { x, g, y: [...noise] } },
      network: { hidden: [64, 64], epochs: 150, batch: 16, learning_rate: 1e-2, decay: 1 },
    });
    expect(result.points[result.chosen]!.test.mse).toBeGreaterThan(result.target_variance);
    expect(result.warnings.map((w) => w.code)).toContain('worse_than_mean');
  }, 60_000);

  it('takes a rare level and one empty cell with any seed, and lists groups that are too small', async () => {
    const kind = g.map((_, i) => (i === 7 ? 'rare' : i % 2 ? 'p' : 'q'));
    const some = x.map((value, i) => (i === 30 ? null : value));
    const labels = g.map((label, i) => (i < 4 ? 'tiny' : label));
    const table = { columns: { x: some, g: labels, y, kind } };
    const features = { columns: ['x', 'kind'], missing: 'mean' };
    for (const seed of [0, 1, 2, 3, 4]) {
      const { result, files } = await run({ table, features, seed, network: { hidden: [4], epochs: 1 }, layer: 0 });
      expect(result.excluded).toEqual([{ level: 'tiny', count: 4 }]);
      const stored = JSON.parse(readFileSync(files.get('predictor.json')!.path, 'utf8'));
      const { inputs } = predictorDocumentSchema.parse(stored) as { inputs: { levels?: string[]; missing?: number }[] };
      expect(inputs[1]!.levels).toEqual(['p', 'q', 'rare']);
      expect(inputs[0]!.missing).not.toBeNull();
      expect(() => compilePredictor(predictorDocumentSchema.parse(stored))).not.toThrow();
    }
  }, 60_000);

  it('says why a part has no gap instead of failing about its own result', async () => {
    const { result } = await run({
      split: [0.98, 0.017, 0.003],
      table: { columns: { x, y, g: g.map((_, i) => (i < 22 ? 'b' : 'a')) } },
    });
    const { test } = result.points[0]!;
    expect(test.ks).toBeNull();
    expect(test.reason).toMatch(/too few rows of "b"/);
    expect(result.corrected).toBe(false);
    expect(result.warnings.map((w) => w.code)).toContain('not_corrected');
  });

  it('corrects the mean gap of more than two groups by the scalar head', async () => {
    const three = g.map((_, i) => ['a', 'b', 'c'][i % 3]!);
    const shifted = x.map((value, i) => value + (i % 3));
    const { result } = await run({
      table: { columns: { x: shifted, x2: x, g: three, y: shifted.map(Math.tanh) } },
      features: { columns: ['x', 'x2'] },
    });
    const head = result.points.find((p) => p.method === 'scalar_head tau=0')!;
    const gap = (m: unknown) => (m as { mean_gap: number }).mean_gap;
    expect(gap(head.test)).toBeLessThan(0.35 * gap(result.points[0]!.test));
  });

  it('refuses to edit a published network that reads the group or the target', async () => {
    for (const column of ['g', 'y']) {
      const numbers = { ...params.table.columns, g: g.map((label) => Number(label === 'b')) };
      const made = await run({
        target: 'x',
        group: 'other',
        features: { columns: [column] },
        table: { columns: { ...numbers, other: g } },
      });
      const given = { [made.result.predictor]: asInput(made.outcome.published[0]!, made.files) };
      await expect(
        run({ table: { columns: numbers }, network: { predictor: made.result.predictor } }, given),
      ).rejects.toMatchObject({ errors: [{ pointer: '/network/predictor', code: 'column_unexpected' }] });
    }
  });
});
