import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import fitLookahead from '../../../gpu-worker/jobs/fairness.fit_lookahead.ts';
import { compilePredictor } from '../../../shared/fairness/predictors/compile.ts';
import { predictorDocumentSchema } from '../../../shared/fairness/predictors/document.ts';
import { tableFromColumns } from '../../../shared/formats/json-table.ts';
import lookaheadContract from '../../../shared/jobs/fairness.fit_lookahead.ts';
import { stream } from '../../../shared/math/random.ts';
import { jobsOfFile } from './support/run-job.ts';

const { runJob } = jobsOfFile();
const n = 900;
const z = stream(1, 'table').normal(4 * n);

describe('fairness.fit_lookahead', () => {
  const a = Array.from({ length: n }, (_, i) => (i % 2 ? 'f' : 'm'));
  const x = a.map((label, i) => 2 * z[4 * i]! + (label === 'f' ? 1 : 0));
  const status = x.map((v, i) => 0.5 * v + 0.3 * z[4 * i + 1]!);
  const table = { columns: { a, x, status } };

  it('estimates a linear model and keeps the gap that rho asks for', async () => {
    const { outcome } = await runJob(lookaheadContract, fitLookahead, {
      table,
      attribute: { column: 'a', labels: ['m', 'f'] },
      status: 'status',
      model: { estimate: [{ name: 'x' }, { name: 'status', parents: ['x'], attribute: false }] },
      eta: [2, 10],
      rho: [1, 0.5],
    });
    const result = outcome.result;
    for (const p of result.points) {
      expect(p.future_gap).toBeCloseTo(Math.abs(1 - p.rho) * p.present_gap, 9);
      expect(Math.abs(p.present_gap - 0.5)).toBeLessThan(0.15);
      // T = 1 / (eta (0.5 * 2)^2): the status's own noise is averaged out of the score.
      expect(p.constant * p.eta).toBeCloseTo(1, 0);
    }
    expect(result.baselines).toHaveLength(2);
    expect(result.predictor).toMatch(/^prd_/);
  });

  it('samples a latent model, scores on draws of it, and publishes what the edge can run', async () => {
    const k = Array.from({ length: n }, (_, i) => z[4 * i]!);
    const gpa = k.map((v, i) => 3 + 0.8 * v + (i % 2 ? 0.3 : 0) + 0.4 * z[4 * i + 1]!);
    const fya = k.map((v, i) => 0.7 * v + (i % 2 ? 0.5 : 0) + z[4 * i + 3]!);
    const { outcome, files } = await runJob(lookaheadContract, fitLookahead, {
      table: { columns: { a, gpa, fya } },
      attribute: { column: 'a', labels: ['m', 'f'] },
      status: 'fya',
      model: { latent: { children: [{ name: 'gpa' }], burn_in: 80, samples: 100 } },
      rho: [1, 0],
    });
    const result = outcome.result;
    expect(result.points[0]!.future_gap).toBeLessThan(1e-9);
    expect(result.points[1]!.future_gap).toBeCloseTo(result.points[1]!.present_gap, 9);
    expect(Math.abs(result.points[0]!.present_gap - 0.5)).toBeLessThan(0.35);
    expect(result.predictor).toMatch(/^prd_/);
    const stored = JSON.parse(readFileSync(files.get('predictor.json')!.path, 'utf8'));
    const predictor = compilePredictor(predictorDocumentSchema.parse(stored));
    expect(predictor.columns).toEqual(['gpa', 'a']);
    const { scores, presentGap, futureGap } = predictor.predict(tableFromColumns({ a, gpa }));
    expect(presentGap![0]).toBeCloseTo(result.points[0]!.present_gap, 9);
    expect(Math.max(...futureGap!)).toBeLessThan(1e-9);
    // Knowing K exactly would leave the noise of the status, 1; the mean of the status is what a blind score leaves.
    const mean = fya.reduce((sum, v) => sum + v, 0) / n;
    const [error, blind] = [scores, fya.map(() => mean)].map((s) =>
      fya.reduce((sum, v, i) => sum + (v - s[i]!) ** 2 / n, 0),
    );
    expect(error).toBeLessThan(0.95 * blind!);
    expect(Math.abs(result.fit.published_mse! - error!)).toBeLessThan(0.5);
  });

  it.each([
    [
      /unknown parent q/,
      { model: { estimate: [{ name: 'status', parents: ['q'] }] }, columns: { ...table.columns, q: x } },
    ],
    [
      /depends on itself/,
      {
        model: {
          estimate: [
            { name: 'x', parents: ['status'] },
            { name: 'status', parents: ['x'] },
          ],
        },
      },
    ],
    [/known: m/, { attribute: { column: 'a', labels: ['m', 'w'] } }],
    [/eta/, { eta: [0] }],
    [/0 rows have "f"/, { columns: { ...table.columns, a: a.map(() => 'm') } }],
    [/3 rows have "f"/, { columns: { ...table.columns, a: a.map((_, i) => (i < 3 ? 'f' : 'm')) } }],
    [/listed twice/, { model: { estimate: [{ name: 'x' }, { name: 'status', parents: ['x', 'x'] }] } }],
    [/two variables are called status/, { model: { latent: { children: [{ name: 'status' }] } } }],
    [/at most 1e\+150/, { columns: { ...table.columns, x: x.map((v) => v * 1e200) } }],
  ])(
    'refuses what cannot be fitted: %s',
    async (message, { columns: other, ...change }: { columns?: unknown } & Record<string, unknown>) => {
      const base = {
        table: other ? { columns: other } : table,
        attribute: { column: 'a', labels: ['m', 'f'] },
        status: 'status',
        model: { estimate: [{ name: 'x' }, { name: 'status', parents: ['x'] }] },
      };
      await expect(runJob(lookaheadContract, fitLookahead, { ...base, ...change })).rejects.toThrow(message);
    },
  );
});
