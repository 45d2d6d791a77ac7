/** `fairness.fit_lookahead` on given coefficients, against people who are simulated: U moves along the published score's own gradient. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import fitLookahead from '../../../gpu-worker/jobs/fairness.fit_lookahead.ts';
import { compilePredictor } from '../../../shared/fairness/predictors/compile.ts';
import type { CompiledPredictor } from '../../../shared/fairness/predictors/compiled.ts';
import { predictorDocumentSchema } from '../../../shared/fairness/predictors/document.ts';
import { tableFromColumns } from '../../../shared/formats/json-table.ts';
import contract from '../../../shared/jobs/fairness.fit_lookahead.ts';
import { leastSquares } from '../../../shared/math/least-squares.ts';
import { stream } from '../../../shared/math/random.ts';
import { jobsOfFile } from './support/run-job.ts';

const { runJob } = jobsOfFile();
const SEED = 11;
const n = 240;

/** How a person with exogenous `u` looks under attribute value number `a`: a row, and the status. */
type World = { size: number; labels: string[]; row(u: number[], a: number): Record<string, number>; status: string };
type Rows = Record<string, number | string>[];

const columnsOf = (rows: Rows) =>
  Object.fromEntries(Object.keys(rows[0]!).map((name) => [name, rows.map((row) => row[name]!)]));
const people = (size: number, low = -1): number[][] => {
  const u = stream(SEED, 'people').uniform(n * size, { low });
  return Array.from({ length: n }, (_, i) => Array.from(u.subarray(i * size, (i + 1) * size)));
};
const groupOf = (i: number, world: World): number => i % world.labels.length;
const meanOf = (values: number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;

/** Score of every person in `u`, as seen under attribute value number `a`. */
type Score = (u: number[][], a: number[]) => number[];
const published =
  (predictor: CompiledPredictor, { row, labels }: World): Score =>
  (u, a) => [
    ...predictor.predict(tableFromColumns(columnsOf(u.map((own, i) => ({ ...row(own, a[i]!), a: labels[a[i]!]! })))))
      .scores,
  ];

/** Mean gaps by simulation: central differences of the score in every U, a step of eta, and the structural equations. */
function simulated(world: World, score: Score, eta: number) {
  const u = people(world.size, 0.2);
  const [present, future, scores]: number[][] = [[], [], []];
  const after = (a: number[]): number[] => {
    const h = 1e-4;
    const moved = u.map((own) => [...own]);
    for (let j = 0; j < world.size; j++) {
      const shifted = (by: number) =>
        score(
          u.map((own) => own.map((v, k) => (k === j ? v + by : v))),
          a,
        );
      const [up, down] = [shifted(h), shifted(-h)];
      moved.forEach((own, i) => {
        own[j]! += (eta * (up[i]! - down[i]!)) / (2 * h);
      });
    }
    return moved.map((own, i) => world.row(own, a[i]!)[world.status]!);
  };
  const own = u.map((_, i) => groupOf(i, world));
  const [settled, seen] = [after(own), score(u, own)];
  for (let step = 1; step < world.labels.length; step++) {
    const other = own.map((a) => (a + step) % world.labels.length);
    const [there, otherSeen] = [after(other), score(u, other)];
    u.forEach((person, i) => {
      const now = (a: number): number => world.row(person, a)[world.status]!;
      present!.push(Math.abs(now(own[i]!) - now(other[i]!)));
      future!.push(Math.abs(settled[i]! - there[i]!));
      scores!.push(Math.abs(seen[i]! - otherSeen[i]!));
    });
  }
  return { present_gap: meanOf(present!), future_gap: meanOf(future!), score_gap: meanOf(scores!) };
}

async function fitted(world: World, change: Record<string, unknown>) {
  const u = people(world.size, 0.2);
  const rows = u.map((own, i) => ({ ...world.row(own, groupOf(i, world)), a: world.labels[groupOf(i, world)]! }));
  const { outcome, files } = await runJob(contract, fitLookahead, {
    table: { columns: columnsOf(rows) },
    attribute: { column: 'a', labels: world.labels },
    status: world.status,
    // Everybody is trained and tested on, so that a figure can be computed again from all of them.
    test_share: 0,
    ...change,
  });
  const stored = JSON.parse(readFileSync(files.get('predictor.json')!.path, 'utf8'));
  const document = predictorDocumentSchema.parse(stored);
  return { result: outcome.result, predictor: compilePredictor(document), rows, u };
}

const chain: World = {
  size: 3,
  labels: ['p', 'q', 'r'],
  status: 'y',
  row([u1, u2, uy], a) {
    const x1 = 0.5 + [0, 1, -0.5][a]! + 1.5 * u1!;
    const x2 = 0.7 * x1 + [0, 0, 0.4][a]! - 0.8 * u2!;
    // A direct effect of the attribute on the status.
    return { x1, x2, y: 0.2 + 0.6 * x1 - 0.3 * x2 + [0, 0.3, 0.8][a]! + 0.4 * uy! };
  },
};
const chainScm = {
  values: [0, 1, 2],
  status: 'y',
  variables: [
    { name: 'y', intercept: 0.2, parents: { x1: 0.6, x2: -0.3 }, effects: [0, 0.3, 0.8], scale: 0.4 },
    { name: 'x2', parents: { x1: 0.7 }, effects: [0, 0, 0.4], scale: -0.8 },
    { name: 'x1', intercept: 0.5, effects: [0, 1, -0.5], scale: 1.5 },
  ],
};
const bent: World = {
  size: 2,
  labels: ['p', 'q'],
  status: 'y',
  row: ([u, uy], a) => ({ x: u! + a, y: 0.6 * (2 + 0.5 * (u! + a) + 0.7 * uy!) ** (2 / 3) }),
};
const index = {
  values: [0, 1],
  status: 'y',
  variables: [
    { name: 'x', effects: 1 },
    { name: 'y', intercept: 2, parents: { x: 0.5 }, scale: 0.7 },
  ],
};
const straight: World = { ...bent, row: ([u, uy], a) => ({ x: u! + a, y: 2 + 0.5 * (u! + a) + 0.7 * uy! }) };
const scaled: World = {
  size: 3,
  labels: ['one', 'two'],
  status: 'y',
  row([u1, u2, uy], a) {
    const [x1, x2] = [(a + 1) * (0.8 * u1! + 0.3), (a + 1) * (0.5 * u2! + 0.9)];
    return { x1, x2, y: 0.1 + 0.7 * x1 - 0.4 * x2 + 0.6 * uy! };
  },
};
const multiplicative = {
  features: [
    { name: 'x1', weight: 0.7, alpha: 0.8 },
    { name: 'x2', weight: -0.4, alpha: 0.5 },
  ],
  status: { name: 'y', intercept: 0.1, gamma: 0.6 },
};
const scaling = { attribute: { column: 'a', labels: scaled.labels, values: [1, 2] } };

describe('fairness.fit_lookahead on given coefficients', () => {
  it.each<[string, World, Record<string, unknown>]>([
    ['three values, a direct effect', chain, { model: { coefficients: chainScm } }],
    ['the status observed', chain, { model: { coefficients: chainScm }, status_observed: true }],
    [
      'a curved status',
      bent,
      { model: { coefficients: index, curve: { scale: 0.6, exponent: 2 / 3 }, lowest: 1 }, status_observed: true },
    ],
    [
      'a power of the status',
      straight,
      { model: { coefficients: index, outer: { kind: 'power', exponent: 1.5 }, lowest: 1 }, status_observed: true },
    ],
    [
      'knots',
      straight,
      {
        model: { coefficients: index, outer: { kind: 'knots', at: [0, 2, 3, 5], slopes: [0, 1, 3, 3.5] } },
        status_observed: true,
      },
    ],
    ['an attribute that scales', scaled, { model: { multiplicative }, ...scaling }],
    ['one that scales, the status observed', scaled, { model: { multiplicative }, ...scaling, status_observed: true }],
  ])('measures the gaps that simulated people are left with: %s', async (_, world, change) => {
    // Every sweep publishes its first point: each setting is made the first one once.
    for (const [eta, rho] of [
      [0.5, 1],
      [0.5, 0.4],
      [2, 1.2],
      [1, 0],
    ] as const) {
      const { result, predictor, rows } = await fitted(world, { ...change, eta: [eta, 3], rho: [rho, 0.7] });
      expect(result.points.map((p) => [p.eta, p.rho])).toEqual([
        [eta, rho],
        [eta, 0.7],
        [3, rho],
        [3, 0.7],
      ]);
      const point = result.points[0]!;
      const found = simulated(world, published(predictor, world), eta);
      for (const name of ['present_gap', 'future_gap', 'score_gap'] as const) {
        expect(point[name], `${name} at eta ${eta}, rho ${rho}, seed ${SEED}`).toBeCloseTo(found[name], 5);
      }
      expect(point.improvement).toBeCloseTo(1 - found.future_gap / found.present_gap, 5);
      const { scores } = predictor.predict(tableFromColumns(columnsOf(rows)));
      const errors = rows.map((row, i) => ((row as unknown as { y: number }).y - scores[i]!) ** 2);
      expect(point.mse).toBeCloseTo(meanOf(errors), 9);
    }
  });

  it.each<[string, World, string[], Record<string, unknown>]>([
    [
      'a curved status',
      bent,
      ['x'],
      { model: { coefficients: index, curve: { scale: 0.6, exponent: 2 / 3 }, lowest: 1 }, status_observed: true },
    ],
    ['three values', chain, ['x1', 'x2'], { model: { coefficients: chainScm } }],
    ['an attribute that scales', scaled, ['x1', 'x2'], { model: { multiplicative }, ...scaling }],
  ])('measures baselines as people react to them: %s', async (_, world, features, change) => {
    const { result, rows, u } = await fitted(world, { ...change, eta: [0.7], rho: [1] });
    const y = rows.map((row) => (row as unknown as { y: number }).y);
    const moving = features.length;
    const ofFeatures = (own: number[], a: number): number[] => features.map((name) => world.row(own, a)[name]!);
    const designs: Record<string, (own: number[], a: number) => number[]> = {
      linear_in_features: ofFeatures,
      counterfactually_fair: (own) => own.slice(0, moving),
    };
    for (const { method, mse, future_gap } of result.baselines) {
      const design = designs[method]!;
      const x = Float64Array.from(u.flatMap((own, i) => design(own, groupOf(i, world))));
      const line = leastSquares(x, y, moving);
      const score: Score = (others, a) =>
        others.map((own, i) => line.coefficients.reduce((s, c, j) => s + c * design(own, a[i]!)[j]!, line.intercept));
      expect(mse, method).toBeCloseTo(line.residual, 6);
      expect(future_gap, `${method}, seed ${SEED}`).toBeCloseTo(simulated(world, score, 0.7).future_gap, 5);
    }
  });

  it.each([false, true])('keeps fair paths, their variables frozen: %s', async (frozen) => {
    const path = { fair: ['x2'], frozen };
    const { result } = await fitted(chain, { model: { coefficients: chainScm }, path, eta: [2], rho: [1, 0.25] });
    // c = (0.6 - 0.3 * 0.7) 1.5 for U1, -0.3 * -0.8 for U2; U_Y is averaged out of the score.
    const slope = 0.39 ** 2 * 1.5 ** 2 + (frozen ? 0 : 0.24 ** 2);
    expect(result.points[0]!.constant).toBeCloseTo(1 / (2 * slope), 9);
    // Unfair paths carry the effects on x1 and y: 0, 0.39 + 0.3, -0.195 + 0.8.
    const effects = [0, 0.69, 0.605];
    const gap = meanOf([0, 1, 2].map((a) => meanOf([1, 2].map((s) => Math.abs(effects[a]! - effects[(a + s) % 3]!)))));
    for (const { rho, present_gap, future_gap } of result.points) {
      expect(present_gap).toBeCloseTo(gap, 9);
      expect(future_gap).toBeCloseTo((1 - rho) * gap, 9);
    }
  });

  it.each([true, false])(
    'takes a latent variable with its coefficients; counts among its children: %s',
    async (counts) => {
      const world: World = {
        size: 4,
        labels: ['p', 'q', 'r'],
        status: 'y',
        row: ([k, e1, e2, ey], a) => ({
          g: 1 + 0.9 * k! + [0, 0.2, 0.5][a]! + 0.4 * e1!,
          l: counts ? Math.round(Math.exp(1 + 0.4 * k!) + 2 * Math.abs(e2!)) : 0.6 * k! + [0, -0.3, 0][a]! + 0.5 * e2!,
          y: 0.7 * k! + [0, 0.4, -0.2][a]! + 0.3 * ey!,
        }),
      };
      const gaussian = { family: 'gaussian', name: 'l', effects: [0, -0.3, 0], weight: 0.6, deviation: 0.5 };
      const counted = { family: 'poisson', name: 'l', intercept: 1, effects: [0, 0, 0], weight: 0.4 };
      const knowledge = {
        children: [
          { family: 'gaussian', name: 'g', intercept: 1, effects: [0, 0.2, 0.5], weight: 0.9, deviation: 0.4 },
          counts ? counted : gaussian,
        ],
        status: { name: 'y', effects: [0, 0.4, -0.2], weight: 0.7 },
      };
      const { result, predictor, rows, u } = await fitted(world, { model: { knowledge }, eta: [2, 4], rho: [0.8, 1] });
      const gap = meanOf([0.4, 0.2, 0.4, 0.6, 0.2, 0.6]);
      for (const { eta, rho, constant, p1, present_gap, future_gap } of result.points) {
        expect(constant).toBeCloseTo(1 / (eta * 0.49), 9);
        expect(p1).toBeCloseTo((rho * constant) / 2, 9);
        expect(present_gap).toBeCloseTo(gap, 9);
        expect(future_gap).toBeCloseTo((1 - rho) * gap, 9);
      }
      const { scores } = predictor.predict(tableFromColumns(columnsOf(rows)));
      const errors = rows.map((row, i) => ((row as unknown as { y: number }).y - scores[i]!) ** 2);
      expect(result.points[0]!.mse).toBeCloseTo(meanOf(errors), 9);
      const score = published(predictor, world);
      const own = u.map((_, i) => groupOf(i, world));
      const gaps = [1, 2].flatMap((step) => {
        const other = score(
          u,
          own.map((a) => (a + step) % 3),
        );
        return score(u, own).map((value, i) => Math.abs(value - other[i]!));
      });
      expect(result.points[0]!.score_gap).toBeCloseTo(meanOf(gaps), 6);
      expect(result.baselines[0]).toMatchObject({
        present_gap: expect.closeTo(gap, 9),
        future_gap: expect.closeTo(gap, 9),
      });
      expect(result.baselines[0]!.mse).toBeLessThan(
        meanOf(rows.map((row) => (row as unknown as { y: number }).y ** 2)),
      );
    },
  );

  it.each<[string, Record<string, unknown>]>([
    [
      'model.coefficients.variables.0.parents',
      { model: { coefficients: { ...chainScm, variables: [{ name: 'y', parents: { y: 1 } }] } } },
    ],
    ['model.coefficients.status', { model: { coefficients: { ...chainScm, status: 'x1' } } }],
    [
      'attribute.values',
      { model: { coefficients: chainScm }, attribute: { column: 'a', labels: chain.labels, values: [1, 2, 3] } },
    ],
    ['attribute.labels', { model: { coefficients: chainScm }, attribute: { column: 'a', labels: ['p', 'q'] } }],
    ['attribute.labels.1', { model: { coefficients: chainScm }, attribute: { column: 'a', labels: ['p', 'p', 'q'] } }],
    [
      'model.lowest',
      { model: { coefficients: chainScm, outer: { kind: 'power', exponent: 1.5 } }, status_observed: true },
    ],
    [
      'model.outer.slopes.1',
      {
        model: { coefficients: chainScm, outer: { kind: 'knots', at: [0, 1], slopes: [1, 0] } },
        status_observed: true,
      },
    ],
    ['path.fair.0', { model: { coefficients: chainScm }, path: { fair: ['z'] } }],
    ['path', { model: { multiplicative }, ...scaling, path: { fair: ['x1'] } }],
    ['attribute', { model: { multiplicative } }],
    [
      'attribute.values',
      { model: { multiplicative }, attribute: { column: 'a', labels: ['one', 'two'], values: [0, 2] } },
    ],
    ['eta.1', { model: { coefficients: chainScm }, eta: [1, -1] }],
    ['eta.0', { model: { coefficients: chainScm }, eta: [0] }],
    ['eta.1', { model: { coefficients: chainScm }, eta: [1, 1e-320] }],
    ['eta.0', { model: { multiplicative }, ...scaling, eta: [1e-320] }],
    ['eta', { model: { multiplicative }, ...scaling, eta: [] }],
    ['rho.0', { model: { coefficients: chainScm }, rho: [2.5] }],
    [
      'status_observed',
      {
        model: {
          knowledge: {
            children: [{ family: 'gaussian', name: 'x1', effects: [0, 0, 0], weight: 1, deviation: 1 }],
            status: { name: 'y', effects: [0, 0, 0], weight: 1 },
          },
        },
        status_observed: true,
      },
    ],
  ])('is refused before it starts, at %s', (path, change) => {
    const table = { columns: { a: ['p'], y: [1] } };
    const attribute = { column: 'a', labels: chain.labels };
    const parsed = contract.params.safeParse({ table, attribute, status: 'y', ...change });
    expect(parsed.error?.issues.map((issue) => issue.path.join('.'))).toEqual([path]);
  });
});
