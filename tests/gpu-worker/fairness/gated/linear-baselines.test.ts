/** Baselines on worlds so small that every minimum can be enumerated: a binary feature, four cells of (x, y). */
import { describe, expect, it } from 'vitest';
import * as baselines from '../../../../gpu-worker/fairness/gated/linear-baselines.ts';
import type { Rows } from '../../../../gpu-worker/fairness/rows.ts';
import { logisticRegression } from '../../../../shared/math/logistic.ts';
import { stream } from '../../../../shared/math/random.ts';
import { softplus } from '../../../../shared/math/special.ts';

/** Rows by cell: (0, 0), (0, 1), (1, 0), (1, 1). */
type Cells = [number, number, number, number];
const cellOf = (k: number): [number, number] => [k >> 1, k & 1];
function rowsOf(cells: Cells): Rows {
  const [x, y]: [number[], number[]] = [[], []];
  cells.forEach((count, k) => {
    const [own, label] = cellOf(k);
    for (let i = 0; i < count; i++) {
      x.push(own);
      y.push(label);
    }
  });
  return { x: Float64Array.from(x), y: Float64Array.from(y), d: 1 };
}
/** Log-loss in every cell of the classifier with slope w and intercept b. */
const lossesOf = (w: number, b: number): number[] =>
  [0, 1, 2, 3].map((k) => {
    const [x, y] = cellOf(k);
    return softplus(w * x + b) - y * (w * x + b);
  });
const logit = (no: number, yes: number): number => Math.log(yes / no);

const worlds: Cells[] = [
  [300, 100, 50, 550],
  [500, 20, 200, 280],
  [100, 400, 450, 50],
];

describe('decoupled classifiers', () => {
  it.each(worlds.map((cells) => [cells]))('are the cell frequencies where a line fits every cell: %j', (cells) => {
    const [a, b] = [rowsOf(cells), rowsOf([cells[3], cells[2], cells[1], cells[0]])];
    const both = { x: Float64Array.of(...a.x, ...b.x), y: Float64Array.of(...a.y, ...b.y), d: 1 };
    const groupIds = Array.from(both.y, (_, i) => Number(i >= a.y.length));
    const models = baselines.decoupled(both, groupIds, 2, 1e-9);
    const scores = baselines.decoupledScores(models, both, groupIds);
    const share = (code: number, x: number): number => {
      const own = [...both.y].filter((_, i) => groupIds[i] === code && both.x[i] === x);
      return own.reduce((sum, y) => sum + y, 0) / own.length;
    };
    scores.forEach((score, i) => {
      expect(score).toBeCloseTo(share(groupIds[i]!, both.x[i]!), 5);
    });
  });

  it('are the pooled one for groups below 25 rows', () => {
    const rows = rowsOf([30, 10, 20, 40]);
    const groupIds = Array.from(rows.y, (_, i) => Number(i % 5 === 0));
    expect(groupIds.filter((code) => code === 1)).toHaveLength(20);
    expect(baselines.decoupled(rows, groupIds, 2)[1]).toEqual(logisticRegression(rows.x, rows.y, 1, { l2: 1e-4 }));
  });
});

describe('the distributionally robust classifier', () => {
  it.each(worlds.map((cells) => [cells]))('reaches the least mean relu(l - eta)^2 of a grid: %j', (cells) => {
    const n = cells.reduce((sum, c) => sum + c, 0);
    const objective = (w: number, b: number): number =>
      lossesOf(w, b).reduce((sum, l, k) => sum + (cells[k]! / n) * Math.max(0, l - 0.5) ** 2, 0);
    let least = Number.POSITIVE_INFINITY;
    for (let w = -5; w <= 5; w += 0.02) {
      for (let b = -5; b <= 5; b += 0.02) {
        least = Math.min(least, objective(w, b));
      }
    }
    const [w, b] = baselines.distributionallyRobust(rowsOf(cells), 0.5) as unknown as [number, number];
    expect(objective(w, b)).toBeLessThan(least * 1.002);
    const [pw, pb] = logisticRegression(rowsOf(cells).x, rowsOf(cells).y, 1) as unknown as [number, number];
    expect(objective(w, b)).toBeLessThan(objective(pw, pb));
  });
});

describe('the adversarially reweighted classifier', () => {
  it('is the weighted optimum for the weights that its adversary settles on', () => {
    // The adversary ends on everything but the best cell: lambda = 1 + 1 / (share of those rows) there, 1 in that cell.
    const cells: Cells = [300, 100, 50, 550];
    const lambda = 1 + 1 / 0.45;
    const [w, b] = baselines.adversariallyReweighted(rowsOf(cells), { steps: 6000 }) as unknown as [number, number];
    expect(b).toBeCloseTo(logit(300, 100), 1);
    expect(w + b).toBeCloseTo(logit(50 * lambda, 550), 1);
  });

  // In the third world no line tells the two bad cells from the two good ones, so its adversary has no hold.
  it.each(worlds.slice(0, 2).map((cells) => [cells]))('loses less where the pooled one loses most: %j', (cells) => {
    const rows = rowsOf(cells);
    const worst = (w: Float64Array): number => Math.max(...lossesOf(w[0]!, w[1]!));
    const pooled = worst(logisticRegression(rows.x, rows.y, 1));
    expect(worst(baselines.adversariallyReweighted(rows))).toBeLessThan(pooled);
  });
});

describe('robust classifiers', () => {
  it('give a minority whose rule differs more weight than pooled regression does', () => {
    const n = 4000;
    const x = stream(2, 'x').normal(n);
    const y = Float64Array.from({ length: n }, (_, i) => Number(i % 8 === 0 ? x[i]! > 1.2 : x[i]! > 0));
    const rows = { x, y, d: 1 };
    const boundary = (w: Float64Array): number => -w[1]! / w[0]!;
    const pooled = boundary(logisticRegression(x, y, 1));
    const [robust, adversarial] = [baselines.distributionallyRobust(rows), baselines.adversariallyReweighted(rows)].map(
      boundary,
    ) as [number, number];
    expect(robust).toBeGreaterThan(pooled);
    expect(Number.isFinite(adversarial)).toBe(true);
  });
});
