/** Lookahead predictors as they are registered, against people who react to the score that they are shown. */
import { describe, expect, it } from 'vitest';
import { scmOf } from '../../../../shared/fairness/lookahead/compile.ts';
import { multiplicativeConstant } from '../../../../shared/fairness/lookahead/constants.ts';
import { scmSchema } from '../../../../shared/fairness/lookahead/document.ts';
import { compileMultiplicative } from '../../../../shared/fairness/lookahead/multiplicative.ts';
import { logDensity } from '../../../../shared/fairness/lookahead/posterior.ts';
import { compileScm, simulate } from '../../../../shared/fairness/lookahead/scm.ts';
import { compilePredictor } from '../../../../shared/fairness/predictors/compile.ts';
import { predictorDocumentSchema } from '../../../../shared/fairness/predictors/document.ts';
import { tableFromColumns } from '../../../../shared/formats/json-table.ts';
import { stream } from '../../../../shared/math/random.ts';
import { postNonlinearLimit } from '../../../support/lookahead-oracles.ts';
import { linearGap, linearSlopes, referenceModel } from '../../../support/reference-scm.ts';

const compile = (document: unknown) => compilePredictor(predictorDocumentSchema.parse(document));
const labels = (n: number): string[] => Array.from({ length: n }, (_, k) => `v${k}`);
type Cells = Record<string, number | string>;
const tableOf = (rows: readonly Cells[]) =>
  tableFromColumns(Object.fromEntries(Object.keys(rows[0]!).map((name) => [name, rows.map((r) => r[name]!)])));

/** People as the structural model makes them: what a row shows of U in world b, and the status there. */
type People = {
  row(u: Float64Array, b: number): Cells;
  status(u: Float64Array, b: number): number;
  moves(j: number): boolean;
};

/**
 * Mean |gap| of one person between world `a` and the others after everybody moved U by eta times the slope of the score shown
 * to them, by central differences: nothing of the closed forms is used.
 */
function reacted(document: unknown, people: People, u: Float64Array, a: number, values: number, eta: number): number {
  const predictor = compile(document);
  const h = 1e-4;
  const settled = (b: number): number => {
    const rows = Array.from(u, (_, j) => [h, -h].map((step) => people.row(u.with(j, u[j]! + step), b))).flat();
    const { scores } = predictor.predict(tableOf(rows));
    const moved = u.map((x, j) => (people.moves(j) ? x + (eta * (scores[2 * j]! - scores[2 * j + 1]!)) / (2 * h) : x));
    return people.status(moved, b);
  };
  let sum = 0;
  for (let b = 0; b < values; b++) {
    sum += Math.abs(settled(a) - settled(b));
  }
  return sum / (values - 1);
}

/** A random graph: x0 -> x1 -> y, x0 -> y, effects of the attribute everywhere, also on the status itself. */
function randomModel(seed: number, values: number, positive = false) {
  const random = stream(seed, 'model');
  const draw = (name: string): number => {
    const [x] = random.derive(name).uniform(1, { low: positive ? 0.3 : -1.2, high: 1.2 });
    return x!;
  };
  const effects = (name: string): number[] => [...random.derive(name).uniform(values, { high: 0.5 })];
  return {
    values: Array.from({ length: values }, (_, k) => k),
    status: 'y',
    variables: [
      {
        name: 'y',
        intercept: positive ? 3 : 0.2,
        parents: { x0: draw('w0'), x1: draw('w1') },
        effects: effects('ey'),
        scale: draw('sy'),
      },
      { name: 'x0', effects: effects('e0'), scale: draw('s0') },
      { name: 'x1', parents: { x0: draw('p') }, effects: effects('e1'), scale: draw('s1') },
    ],
  };
}

/** People of a linear model; direct effects on `fair` variables stay at value `factual` in every world. */
function linearPeople(
  model: ReturnType<typeof randomModel>,
  {
    factual = 0,
    fair = [],
    frozen = [],
    observed = true,
    show = (y: number) => y,
  }: {
    factual?: number;
    fair?: string[];
    frozen?: string[];
    observed?: boolean;
    show?: (index: number) => number;
  },
): People & { order: string[] } {
  const scm = scmOf(scmSchema.parse(model));
  const worlds = scm.values.map((_, b) =>
    compileScm({
      ...scm,
      variables: scm.variables.map((v) =>
        fair.includes(v.name)
          ? { ...v, effects: v.effects.map(() => v.effects[factual]!) }
          : { ...v, effects: v.effects.map(() => v.effects[b]!) },
      ),
    }),
  );
  const order = worlds[0]!.order.map((v) => v.name);
  const simulated = (u: Float64Array, b: number): Record<string, number> => {
    const x = new Float64Array(order.length);
    simulate(worlds[b]!, u, b, x);
    return Object.fromEntries(order.map((name, j) => [name, x[j]!]));
  };
  return {
    order,
    moves: (j) => !frozen.includes(order[j]!),
    status: (u, b) => show(simulated(u, b).y!),
    row(u, b) {
      const { y, ...features } = simulated(u, b);
      return { ...features, ...(observed && { y: show(y!) }), a: `v${b}` };
    },
  };
}

const VARIANTS: {
  name: string;
  values: number;
  people?: Parameters<typeof linearPeople>[1];
  change: Record<string, unknown>;
  equal: boolean;
}[] = [
  { name: 'two values', values: 2, change: { status_observed: true }, equal: true },
  { name: 'four values', values: 4, change: { status_observed: true, free: { x1: 0.7, y: -0.4 } }, equal: true },
  {
    name: 'averaged over U_Y',
    values: 3,
    people: { observed: false },
    change: { noise: { mean: 0.3, variance: 2 } },
    equal: true,
  },
  {
    name: 'path-dependent, A',
    values: 2,
    people: { fair: ['x0'], factual: 1 },
    change: { status_observed: true, path: { fair: ['x0'] } },
    equal: true,
  },
  {
    name: 'path-dependent, B',
    values: 2,
    people: { fair: ['x0'], frozen: ['x0'], factual: 1 },
    change: { status_observed: true, path: { fair: ['x0'], frozen: true } },
    equal: true,
  },
  {
    name: 'power',
    values: 3,
    change: { status_observed: true, outer: { kind: 'power', exponent: 1.5 }, lowest: 1, free: { x0: 0.01 } },
    equal: false,
  },
  {
    name: 'knots',
    values: 3,
    change: { status_observed: true, outer: { kind: 'knots', at: [-1, 2, 3, 5], slopes: [0.2, 0.9, 2, 5] } },
    equal: false,
  },
  {
    name: 'curve',
    values: 3,
    people: { show: (v) => 0.8 * v ** 0.6 },
    change: { status_observed: true, curve: { scale: 0.8, exponent: 0.6 }, outer: { kind: 'quadratic' }, lowest: 1 },
    equal: false,
  },
];

describe('a registered lookahead predictor', () => {
  it.each(VARIANTS)(
    'promises the gap that people who react end with: $name',
    ({ values, people: options = {}, change, equal }) => {
      for (let seed = 1; seed <= 6; seed++) {
        const model = randomModel(seed, values, !equal);
        const people = linearPeople(model, options);
        const u = stream(seed, 'u').uniform(3);
        const a = options.factual ?? seed % values;
        const [eta, rho] = [0.5 + seed / 4, [1, 0.4, 0, 0.8, 1, 0.6][seed - 1]!];
        const document = {
          kind: 'lookahead',
          scm: model,
          attribute: { name: 'a', labels: labels(values) },
          eta,
          rho,
          p2: equal ? -0.3 : 0,
          p3: 2,
          ...change,
        };
        const { presentGap, futureGap } = compile(document).predict(tableOf([people.row(u, a)]));
        const [present, future] = [presentGap![0]!, futureGap![0]!];
        let now = 0;
        for (let b = 0; b < values; b++) {
          now += Math.abs(people.status(u, a) - people.status(u, b)) / (values - 1);
        }
        expect(present, `seed ${seed}`).toBeCloseTo(now, 9);
        expect(future, `seed ${seed}`).toBeCloseTo(reacted(document, people, u, a, values, eta), 4);
        if (equal) {
          expect(future, `seed ${seed}`).toBeCloseTo(Math.abs(1 - rho) * present, 9);
        } else if (rho > 0) {
          expect(future, `seed ${seed}`).toBeLessThan(present);
        }
      }
    },
  );

  it('scales with the attribute: T/2 and the gap of the published model, and people who react agree', () => {
    const { alpha, beta, w, gamma } = referenceModel();
    const features = Array.from(w, (weight, j) => ({ name: `x${j}`, weight, alpha: alpha[j]! }));
    for (const observed of [true, false]) {
      for (const [rho, factor] of [
        [1, 0],
        [0.5, 0.5],
        [0, 1],
      ] as const) {
        const document = {
          kind: 'lookahead_multiplicative',
          attribute: { name: 'a', labels: ['v0', 'v1'] },
          values: [1, 2],
          features,
          status: { name: 'y', gamma },
          eta: 10,
          rho,
          p2: 0.4,
          status_observed: observed,
          noise: { mean: 0.5, variance: 1 / 12 },
          free: observed ? 0.3 : 0,
        };
        const status = (u: Float64Array, b: number): number =>
          w.reduce((sum, x, j) => sum + x * (b + 1) * (alpha[j]! * u[j]! + beta[j]!), gamma * u[10]!);
        const people: People = {
          moves: () => true,
          status,
          row: (u, b) => ({
            ...Object.fromEntries(features.map((f, j) => [f.name, (b + 1) * (alpha[j]! * u[j]! + beta[j]!)])),
            ...(observed && { y: status(u, b) }),
            a: `v${b}`,
          }),
        };
        const u = stream(3, 'u').uniform(11);
        for (const a of [0, 1]) {
          const { presentGap, futureGap } = compile(document).predict(tableOf([people.row(u, a)]));
          expect(presentGap![0]).toBeCloseTo(Math.abs(status(u, 0) - status(u, 1)), 9);
          expect(futureGap![0]).toBeCloseTo(factor * presentGap![0]!, 9);
          expect(futureGap![0]).toBeCloseTo(reacted(document, people, u, a, 2, 10), 4);
        }
      }
    }
    const compiled = compileMultiplicative({
      values: [1, 2],
      features,
      status: { name: 'y', intercept: 0, gamma },
      eta: 10,
      rho: 1,
      statusObserved: true,
      noise: { mean: 0, variance: 1 },
      p2: 0,
      p3: 0,
      free: 0,
    });
    expect(compiled.p1).toBeCloseTo(0.03597195, 8);
    expect(compiled.constant).toBeCloseTo(multiplicativeConstant(alpha, w, gamma, [1, 2], 10), 12);
  });

  it.each([
    [0.366, 0.738],
    [0.732, 0.506],
    [1.464, 0.163],
    [2.443, 0.182],
  ])('has the published mean gap of the post-nonlinear model at p1 = %f', (p1, expected) => {
    const b = 0.59865848;
    const document = {
      kind: 'lookahead',
      attribute: { name: 'a', labels: ['v0', 'v1'] },
      status_observed: true,
      eta: 10,
      scm: { values: [1, 2], status: 'y', variables: [{ name: 'y', effects: [Math.E, Math.E ** 2] }] },
      curve: { scale: b, exponent: 2 / 3 },
      lowest: Math.E,
      rho: (2 * p1) / postNonlinearLimit(b, 10, Math.E),
    };
    const u = stream(7, 'u').uniform(20_000);
    const groupIds = stream(7, 'a').integers(20_000, 2);
    const y = Array.from(u, (x, i) => b * (x + Math.exp(groupIds[i]! + 1)) ** (2 / 3));
    const { futureGap } = compile(document).predict(tableFromColumns({ y, a: [...groupIds].map((k) => `v${k}`) }));
    expect(Math.abs(futureGap!.reduce((sum, x) => sum + x, 0) / 20_000 - expected)).toBeLessThan(0.003);
  });

  it.each([
    [1, 0.931],
    [0.5, 1.113],
  ])('has the published mean gap of the exponent 1.5 at rho = %f', (rho, expected) => {
    const model = referenceModel();
    const slopes = linearSlopes(model);
    // The curvature 0.75 / sqrt(y) is 2 at this least status, so that p1 = rho T / 2 as published.
    const lowest = 0.375 ** 2;
    const document = {
      kind: 'lookahead',
      attribute: { name: 'a', labels: ['v0', 'v1'] },
      status_observed: true,
      eta: 10,
      rho,
      lowest,
      outer: { kind: 'power', exponent: 1.5 },
      scm: {
        values: [0, 1],
        status: 'y',
        variables: [
          { name: 'y', parents: Object.fromEntries(Array.from(model.w, (x, j) => [`x${j}`, x])), scale: model.gamma },
          ...Array.from(model.beta, (effects, j) => ({ name: `x${j}`, effects, scale: model.alpha[j] })),
        ],
      },
    };
    const n = 20_000;
    const [u, groupIds] = [stream(3, 'u').uniform(11 * n), stream(3, 'a').integers(n, 2)];
    const columns: Record<string, (number | string)[]> = { a: [...groupIds].map((k) => `v${k}`) };
    for (let j = 0; j < 10; j++) {
      columns[`x${j}`] = Array.from(groupIds, (a, i) => model.alpha[j]! * u[11 * i + j]! + model.beta[j]! * a);
    }
    columns.y = Array.from(groupIds, (a, i) =>
      slopes.reduce((sum, c, j) => sum + c * u[11 * i + j]!, linearGap(model) * a),
    );
    const { futureGap } = compile(document).predict(tableFromColumns(columns));
    expect(Math.abs(futureGap!.reduce((sum, x) => sum + x, 0) / n - expected)).toBeLessThan(0.005);
  });
});

describe('a registered latent predictor', () => {
  const document = {
    kind: 'lookahead_latent',
    attribute: { name: 'sex', labels: ['f', 'm', 'x'] },
    covariates: [{ kind: 'category', name: 'area', levels: ['rural'], unknown: 'zeros' }],
    children: [
      {
        family: 'gaussian',
        name: 'gpa',
        intercept: 3,
        effects: [0, 0.1, -0.2],
        covariates: [0.3],
        weight: 0.9,
        deviation: 0.4,
      },
      { family: 'poisson', name: 'lsat', intercept: 3.5, effects: [0, 0.05, 0], covariates: [-0.1], weight: 0.15 },
    ],
    status: { name: 'fya', intercept: 0.2, effects: [0, 0.5, -0.3], covariates: [0.2], weight: 0.6 },
    eta: 4,
    rho: 0.75,
    p2: 0.3,
    p3: -1,
    free: 0.8,
  };

  it.each([false, true])(
    'is the average over the posterior of the score of each draw; status in the rows: %s',
    (observed) => {
      const seen = { ...document, status: { ...document.status, deviation: observed ? 0.7 : null } };
      const row = { gpa: 3.4, lsat: 38, ...(observed && { fya: 1.1 }), area: 'rural', sex: 'm' };
      const { scores, presentGap, futureGap } = compile(seen).predict(tableOf([row]));
      const gaussian = [
        { value: 3.4, offset: 3 + 0.1 + 0.3, weight: 0.9, deviation: 0.4 },
        ...(observed ? [{ value: 1.1, offset: 0.2 + 0.5 + 0.2, weight: 0.6, deviation: 0.7 }] : []),
      ];
      const poisson = [{ count: 38, offset: 3.5 + 0.05 - 0.1, weight: 0.15 }];
      const T = 1 / (4 * 0.6 ** 2);
      const p1 = (0.75 * T) / 2;
      const others = [0, -0.3].map((effect) => 0.2 + 0.2 + effect);
      let [mass, total] = [0, 0];
      for (let k = -6; k <= 6; k += 1e-3) {
        const density = Math.exp(logDensity(k, gaussian, poisson)[0] - 95);
        const score = others.reduce(
          (sum, base) => sum + p1 * (base + 0.6 * k) ** 2 + 0.3 * (base + 0.6 * k),
          -1 + 0.8 * k,
        );
        mass += density;
        total += density * score;
      }
      expect(scores[0]).toBeCloseTo(total / mass, 6);
      expect(presentGap![0]).toBeCloseTo((0.5 + 0.8) / 2, 12);
      // One draw k moves by eta times the slope of its own score, in each world with the other two as counterfactuals.
      const bases = [0, 0.5, -0.3].map((effect) => 0.4 + effect);
      const settled = (b: number, k: number): number => {
        const slope = bases.reduce(
          (sum, base, c) => (c === b ? sum : sum + 0.6 * (2 * p1 * (base + 0.6 * k) + 0.3)),
          0.8,
        );
        return bases[b]! + 0.6 * (k + 4 * slope);
      };
      for (const k of [-1.3, 0, 0.7]) {
        const gap = (Math.abs(settled(1, k) - settled(0, k)) + Math.abs(settled(1, k) - settled(2, k))) / 2;
        expect(futureGap![0]).toBeCloseTo(gap, 9);
      }
    },
  );

  it('answers without counts in closed form, for a person without children near the prior', () => {
    const gaussian = {
      ...document,
      covariates: [],
      children: [{ ...document.children[0], covariates: [], deviation: 1e6 }],
      status: { ...document.status, covariates: [] },
    };
    const { scores } = compile(gaussian).predict(tableOf([{ gpa: 0, sex: 'f' }]));
    const p1 = (0.75 * (1 / (4 * 0.36))) / 2;
    // K ~ N(0, 1) is all that is known: E[Yc^2] = base^2 + w^2.
    expect(scores[0]).toBeCloseTo(p1 * (0.7 ** 2 + 0.1 ** 2 + 2 * 0.36) + 0.3 * (0.7 - 0.1) - 1, 6);
  });
});

const fault = (code: string, pointer?: string) =>
  expect.objectContaining({
    code: 'data_invalid',
    errors: [expect.objectContaining({ code, ...(pointer !== undefined && { pointer }) })],
  });

describe('lookahead documents that cannot work', () => {
  const linear = {
    kind: 'lookahead',
    attribute: { name: 'a', labels: ['v0', 'v1'] },
    eta: 1,
    status_observed: true,
    scm: {
      values: [0, 1],
      status: 'y',
      variables: [
        { name: 'y', parents: { 'a/b~c': 1 }, effects: 1 },
        { name: 'a/b~c', effects: 1 },
      ],
    },
  };
  const scaled = {
    kind: 'lookahead_multiplicative',
    attribute: { name: 'a', labels: ['v0', 'v1'] },
    values: [1, 2],
    eta: 1,
    features: [{ name: 'x', weight: 1, alpha: 1 }],
    status: { name: 'y', gamma: 1 },
  };
  const latent = {
    kind: 'lookahead_latent',
    attribute: { name: 'a', labels: ['v0', 'v1'] },
    eta: 1,
    children: [{ family: 'poisson', name: 'n', effects: [0, 0], weight: 1 }],
    status: { name: 'y', effects: [0, 1], weight: 1 },
  };
  const curve = { scale: 1, exponent: 0.6 };
  it.each([
    ['response_invalid', '/lowest', { ...linear, curve }],
    ['response_invalid', '/curve/exponent', { ...linear, curve: { ...curve, exponent: 0.5 }, lowest: 1 }],
    ['response_invalid', '/outer', { ...linear, curve, outer: { kind: 'knots', at: [0, 1], slopes: [0, 1] } }],
    ['response_invalid', '/outer/at/1', { ...linear, outer: { kind: 'knots', at: [0, 0], slopes: [0, 1] } }],
    ['response_invalid', '/outer/slopes/1', { ...linear, outer: { kind: 'knots', at: [0, 1], slopes: [1, 0] } }],
    ['response_invalid', '/outer/slopes', { ...linear, outer: { kind: 'knots', at: [0, 1], slopes: [1, 1] } }],
    ['response_invalid', '/outer/slopes', { ...linear, outer: { kind: 'knots', at: [0, 1, 2], slopes: [1, 2] } }],
    ['response_invalid', '/status_observed', { ...linear, status_observed: false, curve, lowest: 1 }],
    ['scm_invalid', '/path/fair/0', { ...linear, path: { fair: ['nobody/here'] } }],
    ['response_invalid', '/eta', { ...scaled, eta: -1 }],
    ['response_invalid', '/features', { ...scaled, values: [-1, 1] }],
    ['scm_invalid', '/values', { ...scaled, values: [0, 1] }],
    ['scm_invalid', '/features/0/name', { ...scaled, status: { name: 'x' } }],
    ['weights_misfit', '/free', { ...scaled, free: 1 }],
    ['response_invalid', '/eta', { ...latent, eta: 0 }],
    ['response_invalid', '/rho', { ...latent, rho: 3 }],
    ['response_invalid', '/status/weight', { ...latent, status: { ...latent.status, weight: 0 } }],
    ['scm_invalid', '/attribute/labels/1', { ...latent, attribute: { name: 'a', labels: ['v', 'v'] } }],
    ['scm_invalid', '/attribute/name', { ...latent, attribute: { name: 'n', labels: ['0', '1'] } }],
    [
      'scm_cycle',
      '/scm/variables/0/parents',
      { ...linear, scm: { ...linear.scm, variables: [{ name: 'y', parents: { y: 1 } }] } },
    ],
    ['scm_invalid', '/status/effects', { ...latent, status: { ...latent.status, effects: [0, 1, 2] } }],
    ['scm_invalid', '/status/name', { ...latent, status: { ...latent.status, name: 'n' } }],
    ['weights_misfit', '/children/0/covariates', { ...latent, children: [{ ...latent.children[0], covariates: [1] }] }],
  ])('are refused: %s at %s %#', (code, pointer, document) => {
    expect(() => compile(document)).toThrow(fault(code, pointer));
  });

  it('refuse rows outside the range they are made for, and scores that overflow', () => {
    const curved = compile({ ...linear, curve, lowest: 2, free: {} });
    expect(() => curved.predict(tableFromColumns({ 'a/b~c': [1], y: [3], a: ['v0'] }))).not.toThrow();
    for (const y of [-1, 0, 1.2]) {
      expect(() => curved.predict(tableFromColumns({ 'a/b~c': [1], y: [y], a: ['v0'] }))).toThrow(
        fault('value_out_of_range', '/columns/y/0'),
      );
    }
    const down = compile({ ...linear, curve, lowest: 2, rho: 0, free: { y: -100 } });
    expect(() => down.predict(tableFromColumns({ 'a/b~c': [1], y: [3], a: ['v0'] }))).toThrow(
      fault('value_out_of_range'),
    );
    for (const n of [-1, 1.5]) {
      expect(() => compile(latent).predict(tableFromColumns({ n: [n], a: ['v0'] }))).toThrow(
        fault('value_out_of_range', '/columns/n/0'),
      );
    }
    const huge = tableFromColumns({ 'a/b~c': [1e200], y: [1e200], a: ['v0'] });
    expect(() => compile(linear).predict(huge)).toThrow(fault('value_not_finite', '/columns'));
    const missing = tableFromColumns({ 'a/b~c': [null], y: [1], a: ['v0'] });
    expect(() => compile(linear).predict(missing)).toThrow(fault('value_not_finite', '/columns/a~1b~0c/0'));
  });
});
