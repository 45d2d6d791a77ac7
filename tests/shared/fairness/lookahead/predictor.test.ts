import { describe, expect, it } from 'vitest';
import type { LookaheadPredictor } from '../../../../shared/fairness/lookahead/compiled.ts';
import { estimateScm } from '../../../../shared/fairness/lookahead/estimate.ts';
import { compileLookahead, predictLookahead } from '../../../../shared/fairness/lookahead/predictor.ts';
import { freeVariables, lookaheadMoments, refitLookahead } from '../../../../shared/fairness/lookahead/refit.ts';
import * as scm from '../../../../shared/fairness/lookahead/scm.ts';
import { stream } from '../../../../shared/math/random.ts';
import { futures, linearTerm, quadratic, scmStatus } from '../../../support/lookahead-oracles.ts';
import { asScm, linearGap, linearSlopes, referenceModel } from '../../../support/reference-scm.ts';

const model = referenceModel();
const plain: LookaheadPredictor = {
  scm: asScm(model),
  eta: 10,
  rho: 1,
  statusObserved: true,
  noise: { mean: 0.5, variance: 1 / 12 },
  p2: 0,
  p3: 0,
  free: {},
};

/** Rows of `inputs` for people drawn from the model, with their exogenous variables and status. */
function sample(predictor: LookaheadPredictor, n: number, seed = 1) {
  const compiled = compileLookahead(predictor);
  const { order, index, status } = compiled.scm;
  const size = order.length;
  const u = stream(seed, 'u').uniform(n * size);
  const groupIds = stream(seed, 'a').integers(n, predictor.scm.values.length);
  const rows = new Float64Array(n * compiled.inputs.length);
  const y = new Float64Array(n);
  const x = new Float64Array(size);
  for (let i = 0; i < n; i++) {
    scm.simulate(compiled.scm, u.subarray(i * size, (i + 1) * size), groupIds[i]!, x);
    compiled.inputs.forEach((name, j) => {
      rows[i * compiled.inputs.length + j] = x[index.get(name)!]!;
    });
    y[i] = x[status]!;
  }
  return { compiled, u, groupIds, rows, y, size };
}

describe('linear structural models', () => {
  it('compile to the slopes and gap of the reference model, in any order of the list', () => {
    const compiled = scm.compileScm(asScm(model));
    const expected = linearSlopes(model);
    for (let i = 0; i < 10; i++) {
      expect(compiled.slopes[compiled.index.get(`x${i}`)!]).toBeCloseTo(expected[i]!, 14);
    }
    expect(compiled.slopes[compiled.status]).toBeCloseTo(model.gamma, 14);
    expect(scm.statusOffset(compiled, 1) - scm.statusOffset(compiled, 0)).toBeCloseTo(linearGap(model), 12);
    const direct = scm.compileScm(asScm(model, [0, 1], 2));
    expect(scm.statusOffset(direct, 1) - scm.statusOffset(direct, 0)).toBeCloseTo(linearGap(model) + 2, 12);
  });

  it('agree with simulation on a graph with indirect paths, and abduction undoes simulation', () => {
    const graph: scm.LinearScm = {
      values: [0, 1, 4],
      status: 'd',
      variables: [
        { name: 'd', intercept: 1, parents: { b: 2, c: -1 }, effects: [0, 0.5, 1], scale: 0.3 },
        { name: 'e', intercept: 0, parents: { d: 1 }, effects: [0, 0, 0], scale: 1 },
        { name: 'c', intercept: 0, parents: { a: 3, b: 0.5 }, effects: [0, 1, 2], scale: 2 },
        { name: 'b', intercept: -1, parents: { a: 1 }, effects: [1, 0, 0], scale: 0 },
        { name: 'a', intercept: 0, parents: {}, effects: [0, 2, 2], scale: 1.5 },
      ],
    };
    const compiled = scm.compileScm(graph);
    const world = scmStatus(compiled);
    const u = stream(1, 'graph').normal(5);
    const [x, back] = [new Float64Array(5), new Float64Array(5)];
    for (const a of [0, 1, 2]) {
      scm.simulate(compiled, u, a, x);
      expect(world.value(u, a)).toBeCloseTo(x[compiled.status]!, 12);
      scm.abduct(compiled, x, a, 9, back);
      compiled.order.forEach((v, j) => {
        expect(back[j]).toBeCloseTo(v.scale === 0 ? 9 : u[j]!, 9);
      });
    }
  });

  it.each([
    [
      'scm_cycle',
      {
        variables: [
          { name: 'y', intercept: 0, parents: { z: 1 }, effects: [0, 0], scale: 1 },
          { name: 'z', intercept: 0, parents: { y: 1 }, effects: [0, 0], scale: 1 },
        ],
      },
    ],
    ['scm_cycle', { variables: [{ name: 'y', intercept: 0, parents: { y: 1 }, effects: [0, 0], scale: 1 }] }],
    ['scm_invalid', { variables: [{ name: 'y', intercept: 0, parents: { q: 1 }, effects: [0, 0], scale: 1 }] }],
    ['scm_invalid', { variables: [{ name: 'y', intercept: 0, parents: {}, effects: [0], scale: 1 }] }],
    ['scm_invalid', { variables: [{ name: 'y', intercept: Number.NaN, parents: {}, effects: [0, 0], scale: 1 }] }],
    ['scm_invalid', { status: 'missing' }],
    ['scm_invalid', { values: [1, 1] }],
  ])('refuse what is no model: %s %#', (code, change) => {
    const base: scm.LinearScm = { values: [0, 1], status: 'y', variables: [] };
    expect(() => scm.compileScm({ ...base, ...change })).toThrow(
      expect.objectContaining({ errors: [expect.objectContaining({ code })] }),
    );
  });

  it('take a chain of thousands of variables', () => {
    const variables = Array.from({ length: 5000 }, (_, i) => ({
      name: `v${i}`,
      intercept: 0,
      parents: i > 0 ? { [`v${i - 1}`]: 1 } : {},
      effects: i === 0 ? [0, 1] : [0, 0],
      scale: i === 0 ? 1 : 0,
    })).reverse();
    const compiled = scm.compileScm({ values: [0, 1], variables, status: 'v4999' });
    expect(scm.statusOffset(compiled, 1)).toBe(1);
  });
});

describe('a lookahead predictor', () => {
  it('scores like the definition: counterfactual status, quadratic and h of the abducted U', () => {
    const free = { x3: 0.7, x9: -2, y: 0.25 };
    const predictor = { ...plain, rho: 0.5, p2: 0.8, p3: -0.1, free };
    const { compiled, u, groupIds, rows, size } = sample(predictor, 50);
    const [scores, present, future] = [new Float64Array(50), new Float64Array(50), new Float64Array(50)];
    predictLookahead(compiled, rows, groupIds, scores, { present, future });
    const world = scmStatus(compiled.scm);
    const coefficients = compiled.scm.order.map((v) => free[v.name as keyof typeof free] ?? 0);
    const reaction = { model: world, outer: quadratic(compiled.p1, 0.8, 0), free: linearTerm(coefficients), eta: 10 };
    for (let i = 0; i < 50; i++) {
      const person = u.subarray(i * size, (i + 1) * size);
      const other = world.value(person, 1 - groupIds[i]!);
      const h = coefficients.reduce((sum, c, j) => sum + c * person[j]!, 0);
      expect(scores[i]).toBeCloseTo(compiled.p1 * other * other + 0.8 * other - 0.1 + h, 10);
      const f = futures(reaction, person, groupIds[i]!, 1 - groupIds[i]!, [0, 1]);
      expect(present[i]).toBeCloseTo(Math.abs(f.present - f.presentOther), 10);
      expect(future[i]).toBeCloseTo(Math.abs(f.future - f.futureOther), 10);
    }
    expect(compiled.constant / 2).toBeCloseTo(0.05684781, 8);
  });

  it('averages over a status it does not see, and then uses the constant without it', () => {
    const hidden = { ...plain, statusObserved: false, p2: 1 };
    const { compiled, groupIds, rows } = sample(hidden, 20);
    expect(compiled.inputs).not.toContain('y');
    const square = linearSlopes(model)
      .subarray(0, 10)
      .reduce((sum, c) => sum + c * c, 0);
    expect(compiled.constant).toBeCloseTo(1 / (10 * square), 10);
    const scores = new Float64Array(20);
    predictLookahead(compiled, rows, groupIds, scores);
    const at = (name: string): number => compiled.inputs.indexOf(name);
    const noise = stream(1, 'noise').uniform(400_000);
    const base =
      Array.from(model.w, (x, j) => x * rows[at(`x${j}`)]!).reduce((sum, x) => sum + x, 0) +
      linearGap(model) * (groupIds[0] ? -1 : 1);
    let mean = 0;
    for (const u of noise) {
      const other = base + model.gamma * u;
      mean += (compiled.p1 * other * other + other) / noise.length;
    }
    expect(scores[0]).toBeCloseTo(mean, 2);
    expect(() => compileLookahead({ ...hidden, free: { y: 1 } })).toThrow(/not observed/);
  });

  it('takes the counterfactual along unfair paths only, under both conventions', () => {
    const fair = ['x0', 'x1', 'x2'];
    const gapOf = (from: number): number =>
      Array.from(model.w, (x, i) => (i >= from ? x * model.beta[i]! : 0)).reduce((s, x) => s + x, 0);
    for (const frozen of [false, true]) {
      const { compiled, groupIds, rows } = sample({ ...plain, rho: 0.75, path: { fair, frozen } }, 30);
      const [scores, present, future] = [new Float64Array(30), new Float64Array(30), new Float64Array(30)];
      predictLookahead(compiled, rows, groupIds, scores, { present, future });
      expect(present[7]).toBeCloseTo(gapOf(3), 10);
      expect(future[7]).toBeCloseTo(gapOf(3) * 0.25, 10);
      const slopes = linearSlopes(model);
      const square = slopes.reduce((sum, c, i) => sum + (frozen && i < 3 ? 0 : c * c), 0);
      expect(compiled.constant).toBeCloseTo(1 / (10 * square), 10);
    }
    expect(() => compileLookahead({ ...plain, path: { fair: ['nobody'], frozen: false } })).toThrow(/nobody/);
  });
});

describe('refitting from moments', () => {
  it('equals least squares on the rows, for any eta and rho, from one set of moments', () => {
    const hidden = { ...plain, statusObserved: false };
    const { compiled, groupIds, rows, y } = sample(hidden, 400);
    const moments = lookaheadMoments(compiled, rows, groupIds, y);
    expect(freeVariables(compiled)).toHaveLength(10);
    for (const [eta, rho] of [
      [10, 1],
      [1, 0.5],
      [5, 0],
    ] as const) {
      const refit = refitLookahead(hidden, moments, { eta, rho });
      const fitted = compileLookahead(refit.predictor);
      const scores = new Float64Array(400);
      predictLookahead(fitted, rows, groupIds, scores);
      const residuals = scores.map((value, i) => value - y[i]!);
      const error = residuals.reduce((sum, x) => sum + x * x, 0) / 400;
      expect(refit.error).toBeCloseTo(error, 9);
      // Optimal: no residual left along any column the score is linear in.
      expect(Math.abs(residuals.reduce((sum, x) => sum + x, 0))).toBeLessThan(1e-6);
      compiled.inputs.forEach((_, j) => {
        expect(Math.abs(residuals.reduce((sum, x, i) => sum + x * rows[i * 10 + j]!, 0))).toBeLessThan(2e-4);
      });
    }
  });

  it('takes scores that are not squares: the error is the one of the rows, and no other p2 has less', () => {
    const shaped = { ...plain, outer: { kind: 'power', exponent: 1.5 } as const, lowest: 0.1 };
    const { compiled, groupIds, rows, y } = sample(shaped, 300);
    const refit = refitLookahead(shaped, lookaheadMoments(compiled, rows, groupIds, y));
    expect(refit.factor).toBeNull();
    const errorOf = (predictor: LookaheadPredictor): number => {
      const scores = new Float64Array(300);
      predictLookahead(compileLookahead(predictor), rows, groupIds, scores);
      return scores.reduce((sum, value, i) => sum + (value - y[i]!) ** 2 / 300, 0);
    };
    expect(refit.error).toBeCloseTo(errorOf(refit.predictor), 9);
    for (const step of [-1e-3, 1e-3]) {
      const p2 = refit.predictor.p2 + step;
      expect(errorOf({ ...refit.predictor, p2 })).toBeGreaterThan(refit.error);
    }
  });

  it('is nearly exact when U is known: fairness costs what the closed form says at least', () => {
    const { compiled, groupIds, rows, y } = sample(plain, 4000);
    const exact = refitLookahead(plain, lookaheadMoments(compiled, rows, groupIds, y));
    expect(exact.factor).toBeLessThan(1e-12);
    expect(exact.error).toBeGreaterThan(3.6e-4);
    expect(exact.error).toBeLessThan(6e-4);
  });

  it('refuses moments that do not fit', () => {
    const moments = { count: 3, free: ['x1'], second: { rows: 2, cols: 2, data: new Float64Array(4) } };
    expect(() => refitLookahead(plain, moments)).toThrow(/need 5 x 5/);
    const constant = {
      count: 3,
      free: [],
      second: { rows: 4, cols: 4, data: Float64Array.of(1, ...Array(15).fill(0)) },
    };
    expect(() => refitLookahead(plain, constant)).toThrow(/singular/);
  });
});

describe('estimating a model', () => {
  it('recovers planted coefficients', () => {
    const { compiled, groupIds, rows, y } = sample({ ...plain, statusObserved: false }, 20_000);
    const columns = Object.fromEntries(compiled.inputs.map((name, j) => [name, y.map((_, i) => rows[i * 10 + j]!)]));
    const shape = [
      ...compiled.inputs.map((name) => ({ name, parents: [], attribute: true })),
      { name: 'y', parents: compiled.inputs, attribute: false },
    ];
    const { scm: estimated, rSquared } = estimateScm(shape, 'y', [0, 1], { ...columns, y }, groupIds);
    const status = estimated.variables.find((v) => v.name === 'y')!;
    for (let i = 0; i < 10; i++) {
      expect(Math.abs(status.parents[`x${i}`]! - model.w[i]!)).toBeLessThan(0.06);
      const feature = estimated.variables.find((v) => v.name === `x${i}`)!;
      expect(Math.abs(feature.effects[1]! - model.beta[i]!)).toBeLessThan(0.03);
      expect(feature.scale).toBeCloseTo(model.alpha[i]! / Math.sqrt(12), 2);
    }
    expect(rSquared.y).toBeGreaterThan(0.8);
  });

  it('refuses collinear parents, missing columns and cycles', () => {
    const one = Float64Array.from({ length: 10 }, (_, i) => i);
    const columns = { x: one, twin: one, y: one };
    const estimate = (parents: string[], attribute = false) =>
      estimateScm(
        [
          { name: 'y', parents, attribute },
          { name: 'x', parents: ['y'], attribute },
        ],
        'y',
        [0, 1],
        columns,
        new Uint8Array(10),
      );
    expect(() => estimate(['x', 'twin'])).toThrow(/collinear/);
    expect(() => estimate(['z'])).toThrow(/no column z/);
    expect(() => estimate(['x'])).toThrow(/depends on itself/);
  });
});
