/** Lookahead-fair predictors on the published synthetic models and on two real tables. */

import { fitLatentKnowledge } from '../../../gpu-worker/fairness/lookahead/latent-knowledge.ts';
import { splitRows, strataOf } from '../../../gpu-worker/fairness/rows.ts';
import * as constants from '../../../shared/fairness/lookahead/constants.ts';
import { powerCurve } from '../../../shared/fairness/lookahead/shape.ts';
import { leastSquares } from '../../../shared/math/least-squares.ts';
import {
  additiveStatus,
  linearTerm,
  lookaheadGaps,
  multiplicativeStatus,
  postNonlinearStatus,
  power,
  quadratic,
  type Reaction,
} from '../../support/lookahead-oracles.ts';
import { numpyUniform, sklearnSplit } from '../../support/numpy-random.ts';
import { linearGap, linearSlopes, referenceModel } from '../../support/reference-scm.ts';
import { type LatentWorld, latentScore } from './latent-draws.ts';
import { type Row, spread, summarise } from './spread.ts';
import type { LatentTable } from './tables.ts';

const ETA = 10;

/** Means over one sample of people under each published model: gaps are those of the released result files' models. */
export function syntheticGaps(): Row[] {
  const model = referenceModel();
  const [slopes, gap] = [linearSlopes(model), linearGap(model)];
  const n = 1000;
  const a = Float64Array.from(model.uniform(n), (u) => Number(u >= 0.5));
  const u = model.uniform(11 * n);
  const linear = additiveStatus(slopes, (value) => gap * value);
  const T = constants.additiveConstant(slopes, ETA);
  const scaled = multiplicativeStatus(model.alpha, model.beta, model.w, model.gamma);
  const TM = constants.multiplicativeConstant(model.alpha, model.w, model.gamma, [1, 2], ETA);
  const b = 0.59865848;
  const curved = postNonlinearStatus(powerCurve(b, 2 / 3), (value) => Math.exp(value));
  const limit = 9 / (2 * ETA * b * Math.E ** (-2 / 3));
  const one = u.filter((_, i) => i % 11 === 0);
  const shifted = a.map((value) => value + 1);
  const row = (
    method: string,
    reaction: Omit<Reaction, 'eta'>,
    people: Float64Array,
    groupIds: Float64Array,
    values: number[],
  ): Row => {
    const { present, future } = lookaheadGaps({ ...reaction, eta: ETA }, people, groupIds, values);
    return { method, 'present gap': spread([present]), 'future gap': spread([future]) };
  };
  return [
    row(
      'linear: any linear or counterfactually fair predictor',
      { model: linear, outer: quadratic(0), free: linearTerm(slopes) },
      u,
      a,
      [0, 1],
    ),
    row('linear: lookahead, p1 = T/4', { model: linear, outer: quadratic(T / 4) }, u, a, [0, 1]),
    row('linear: lookahead, p1 = T/2', { model: linear, outer: quadratic(T / 2) }, u, a, [0, 1]),
    row('exponent 1.5: lookahead, p1 = T/4', { model: linear, outer: power(T / 4, 1.5) }, u, a, [0, 1]),
    row('exponent 1.5: lookahead, p1 = T/2', { model: linear, outer: power(T / 2, 1.5) }, u, a, [0, 1]),
    row('multiplicative: lookahead, p1 = T/4', { model: scaled, outer: quadratic(TM / 4) }, u, shifted, [1, 2]),
    row('multiplicative: lookahead, p1 = T/2', { model: scaled, outer: quadratic(TM / 2) }, u, shifted, [1, 2]),
    row(
      'post-nonlinear: lookahead, half the released constant',
      { model: curved, outer: quadratic(limit / 2) },
      one,
      shifted,
      [1, 2],
    ),
    row(
      'post-nonlinear: lookahead, the released constant',
      { model: curved, outer: quadratic(limit) },
      one,
      shifted,
      [1, 2],
    ),
  ];
}

/**
 * Mean squared errors in the linear model by the released protocol: 20 % train and 40 % test by scikit-learn's splits of the
 * five seeds, 100 draws of U_Y per test row.
 */
export function syntheticErrors(): Row[] {
  const model = referenceModel();
  const { alpha, beta, w, gamma, uniform } = model;
  const n = 1000;
  const d = 10;
  const T = constants.additiveConstant(linearSlopes(model), ETA);
  const a = Float64Array.from(uniform(n), (u) => Number(u >= 0.5));
  const ux = uniform(n * d);
  const uy = uniform(n);
  const base = Float64Array.from({ length: n }, (_, i) =>
    w.reduce((sum, x, j) => sum + x * (alpha[j]! * ux[i * d + j]! + beta[j]! * a[i]!), 0),
  );
  const gap = linearGap(model);
  const y = base.map((v, i) => v + gamma * uy[i]!);
  const runs = [42, 43, 44, 45, 46].map((seed) => {
    const everybody = Uint32Array.from({ length: n }, (_, i) => i);
    const [train, rest] = sklearnSplit(everybody, 800, seed);
    const [, test] = sklearnSplit(rest, 400, seed);
    const noise = numpyUniform(seed);
    const fresh = noise(n);
    const draws = noise(100 * test.length);
    const other = (i: number, u: number): number => base[i]! + gamma * u + gap * (1 - 2 * a[i]!);
    const errorOf = (columns: (i: number, u: number) => number[], p1: number): number => {
      const width = columns(0, 0).length;
      const x = Float64Array.from([...train].flatMap((i) => columns(i, fresh[i]!)));
      // Labels of training rows carry the fresh noise that the score is made from, as the released code does.
      const target = Float64Array.from(
        train,
        (i) => base[i]! + gamma * (p1 === 0 && width === d ? uy[i]! : fresh[i]!) - p1 * other(i, fresh[i]!) ** 2,
      );
      const { intercept, coefficients } = leastSquares(x, target, width, { ridge: 1e-9 });
      let sum = 0;
      for (const [at, i] of test.entries()) {
        for (let s = 0; s < 100; s++) {
          const u = draws[at * 100 + s]!;
          const value = columns(i, u).reduce((t, c, j) => t + c * coefficients[j]!, intercept) + p1 * other(i, u) ** 2;
          sum += (value - y[i]!) ** 2 / (100 * test.length);
        }
      }
      return sum;
    };
    const features = (i: number): number[] =>
      Array.from({ length: d }, (_, j) => alpha[j]! * ux[i * d + j]! + beta[j]! * a[i]!);
    const exogenous = (i: number, u: number): number[] => [...ux.subarray(i * d, (i + 1) * d), u];
    return new Map([
      ['linear in the features', { MSE: errorOf(features, 0), 'future gap': gap }],
      ['counterfactually fair', { MSE: errorOf(exogenous, 0), 'future gap': gap }],
      ['lookahead, p1 = T/2', { MSE: errorOf((i, u) => [other(i, u), ...exogenous(i, u)], T / 2), 'future gap': 0 }],
      [
        'lookahead, p1 = T/4',
        { MSE: errorOf((i, u) => [other(i, u), ...exogenous(i, u)], T / 4), 'future gap': gap / 2 },
      ],
    ]);
  });
  return summarise(runs);
}

/** The latent model on a real table: one posterior, five splits, exact and half fairness for each strength of reaction. */
export function latentStudy(
  table: LatentTable,
  sampling: { burnIn: number; samples: number; statusVariance: number | null },
  note: (text: string) => void,
): { rows: Row[]; weight: number; effect: number } {
  const { n, children, y, groupIds, covariates, width } = table;
  const p = width + 1;
  const attributes = new Float64Array(n * p);
  for (let i = 0; i < n; i++) {
    attributes[i * p] = groupIds[i]!;
    attributes.set(covariates.subarray(i * width, (i + 1) * width), i * p + 1);
  }
  const fit = fitLatentKnowledge(
    { n, p, attributes, children: [...children, { name: 'status', family: 'gaussian', values: y }] },
    {
      burnIn: sampling.burnIn,
      samples: sampling.samples,
      seed: 42,
      keepLatent: true,
      ...(sampling.statusVariance !== null && { fixedVariance: { status: sampling.statusVariance } }),
      onSweep: (sweep, sweeps) => {
        if (sweep % 100 === 0) {
          note(`sweep ${sweep} of ${sweeps}`);
        }
      },
    },
  );
  const own = fit.children.at(-1)!;
  const world: LatentWorld = {
    fit,
    draws: 20,
    groupIds,
    y,
    values: 2,
    weight: own.weight,
    offset: (i, b) =>
      own.attributes
        .slice(1)
        .reduce((sum, c, j) => sum + c * covariates[i * width + j]!, own.intercept + b * own.attributes[0]!),
  };
  const runs = [42, 43, 44, 45, 46].map((seed) => {
    const [train, test] = splitRows(strataOf(groupIds, y), [0.8, 0.2], seed) as [Uint32Array, Uint32Array];
    const out = new Map<string, Record<string, number>>();
    const add = (name: string, options: Parameters<typeof latentScore>[3]): void => {
      const s = latentScore(world, train, test, options);
      out.set(name, { MSE: s.mse, 'present gap': s.presentGap, 'future gap': s.futureGap });
    };
    add('counterfactually fair (h(K))', { eta: ETA, rho: 0, counterfactual: true });
    for (const eta of [10, 5, 1]) {
      for (const rho of [0.5, 1]) {
        add(`lookahead, eta = ${eta}, rho = ${rho}`, { eta, rho });
      }
    }
    return out;
  });
  return { rows: summarise(runs), weight: own.weight, effect: own.attributes[0]! };
}
