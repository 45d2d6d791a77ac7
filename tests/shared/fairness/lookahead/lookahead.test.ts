import { describe, expect, it } from 'vitest';
import * as constants from '../../../../shared/fairness/lookahead/constants.ts';
import * as posterior from '../../../../shared/fairness/lookahead/posterior.ts';
import { type OuterFunction, powerCurve } from '../../../../shared/fairness/lookahead/shape.ts';
import { stream } from '../../../../shared/math/random.ts';
import {
  additiveStatus,
  type FreeTerm,
  futures,
  gapFactor,
  isRelaxed,
  leastError,
  linearTerm,
  lookaheadGaps,
  multiplicativeStatus,
  postNonlinearLimit,
  postNonlinearStatus,
  power,
  powerGapFactor,
  quadratic,
} from '../../../support/lookahead-oracles.ts';
import { linearGap, linearSlopes, referenceModel } from '../../../support/reference-scm.ts';

const eta = 10;
const model = referenceModel();
const slopes = linearSlopes(model);
const gap = linearGap(model);
const linear = additiveStatus(slopes, (a) => gap * a);
const T = constants.additiveConstant(slopes, eta);
const people = (n: number, size: number, seed = 1): { u: Float64Array; a: (values: number[]) => Float64Array } => ({
  u: stream(seed, 'u').uniform(n * size),
  a: (values) => Float64Array.from(stream(seed, 'a').integers(n, values.length), (k) => values[k]!),
});
/** h with gradient cos(u_i) u_i^2 + 0.3 in every direction, so neither linear nor convex. */
const wild: FreeTerm = {
  value: () => 0,
  gradient: (u, out) => {
    for (let i = 0; i < out.length; i++) {
      out[i]! += Math.cos(u[i]!) * u[i]! ** 2 + 0.3;
    }
  },
};

describe('the linear model', () => {
  it('has the published constants under the published seed', () => {
    expect(gap).toBeCloseTo(1.29582275, 8);
    expect(model.gamma).toBeCloseTo(0.60754485, 8);
    expect(slopes.reduce((sum, c) => sum + c * c, 0)).toBeCloseTo(0.87954129, 8);
    expect(T).toBeCloseTo(0.11369563, 8);
    expect(constants.quadraticCoefficient(T, 1)).toBeCloseTo(0.05684781, 8);
  });

  it('follows the hand-made example', () => {
    const one = additiveStatus(Float64Array.of(1, 0), (a) => a);
    const expected = { 0: [3, 2], 0.25: [4, 3.5], 0.5: [5, 5], 1: [7, 8] };
    for (const [p1, [y, yc]] of Object.entries(expected)) {
      const f = futures({ model: one, outer: quadratic(Number(p1)), eta: 1 }, [2, 0], 1, 0, [0, 1]);
      expect(f).toMatchObject({ present: 3, presentOther: 2, future: y, futureOther: yc });
    }
    expect(constants.additiveConstant([1, 0], 1)).toBe(1);
  });

  it.each([
    [0, 1.2958],
    [0.1, 1.0367],
    [0.25, 0.6479],
    [0.5, 0],
    [0.75, 0.6479],
    [1, 1.2958],
    [2, 3.8875],
  ])('leaves the known gap at p1 = %f T, for any p2 and any h', (share, expected) => {
    const { u, a } = people(200, 11);
    for (const [p2, free] of [
      [0, undefined],
      [3.7, linearTerm(slopes.map((c) => c - 0.2))],
      [-1, wild],
    ] as const) {
      const reaction = { model: linear, outer: quadratic(share * T, p2, 0.4), eta, ...(free && { free }) };
      const gaps = lookaheadGaps(reaction, u, a([0, 1]), [0, 1]);
      expect(gaps.present).toBeCloseTo(1.2958227, 6);
      expect(gaps.future).toBeCloseTo(expected, 4);
      expect(gaps.future).toBeCloseTo(gap * gapFactor(share * T, T), 9);
    }
  });

  it('is unchanged when a and a prime swap, and returns the present gap as eta vanishes', () => {
    const { u, a } = people(100, 11);
    const groupIds = a([0, 1]);
    const reaction = { model: linear, outer: quadratic(0.03, 1), eta };
    const swapped = groupIds.map((x) => 1 - x);
    expect(lookaheadGaps(reaction, u, groupIds, [0, 1]).future).toBeCloseTo(
      lookaheadGaps(reaction, u, swapped, [0, 1]).future,
      12,
    );
    expect(lookaheadGaps({ ...reaction, eta: 1e-12 }, u, groupIds, [0, 1]).future).toBeCloseTo(gap, 9);
  });

  it('keeps its constant with a direct effect of the attribute', () => {
    const direct = additiveStatus(slopes, (a) => (gap + 2) * a);
    const { u, a } = people(50, 11);
    for (const share of [0.25, 0.5]) {
      const gaps = lookaheadGaps({ model: direct, outer: quadratic(share * T), eta }, u, a([0, 1]), [0, 1]);
      expect(gaps.present).toBeCloseTo(gap + 2, 9);
      expect(gaps.future).toBeCloseTo((gap + 2) * gapFactor(share * T, T), 9);
    }
  });

  it('shrinks every pairwise gap of three attribute values by the same factor', () => {
    const values = [0, 1, 2.5];
    const { u } = people(1, 11);
    for (const share of [0.25, 0.5, 0.8]) {
      const reaction = { model: linear, outer: quadratic(share * T, 0.7), free: wild, eta };
      for (const a of values) {
        for (const b of values) {
          if (a === b) {
            continue;
          }
          const f = futures(reaction, u, a, b, values);
          const factor = Math.abs((f.future - f.futureOther) / (f.present - f.presentOther));
          expect(factor).toBeCloseTo(gapFactor(share * T, T), 9);
        }
      }
    }
  });

  it('costs the least error that the closed form states', () => {
    // U iid with the variance of Uniform(0, 1), A Bernoulli(1/2): Var(c . U) = ||c||^2 / 12.
    const square = slopes.reduce((sum, c) => sum + c * c, 0);
    expect(leastError(T / 2, gap, 0.25, square / 12)).toBeCloseTo(3.98e-4, 6);
  });

  it('refuses an eta that is not above 0 and a rho out of range', () => {
    for (const bad of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => constants.additiveConstant(slopes, bad)).toThrow(/eta/);
    }
    expect(() => constants.additiveConstant([0, 0], 1)).toThrow(/no reaction/);
    expect(() => constants.quadraticCoefficient(T, -0.1)).toThrow(/rho/);
    const { u } = people(1, 11);
    expect(() => lookaheadGaps({ model: linear, outer: quadratic(0), eta: 0 }, u, [0], [0, 1])).toThrow(/eta/);
  });
});

describe('the mean-value form of any outer function', () => {
  const { u, a } = people(20_000, 11, 3);
  const groupIds = a([0, 1]);

  it.each([
    [0.5, 0.931],
    [0.25, 1.113],
  ])('gives the exponent 1.5 its factor at p1 = %f T', (share, expected) => {
    const reaction = { model: linear, outer: power(share * T, 1.5), eta };
    const gaps = lookaheadGaps(reaction, u, groupIds, [0, 1]);
    let closed = 0;
    for (let i = 0; i < groupIds.length; i++) {
      const person = u.subarray(11 * i, 11 * (i + 1));
      const [y, yc] = [linear.value(person, 0), linear.value(person, 1)];
      closed += (Math.abs(y - yc) * powerGapFactor(share * T, T, y, yc)) / groupIds.length;
    }
    expect(gaps.future).toBeCloseTo(closed, 9);
    expect(Math.abs(gaps.future - expected)).toBeLessThan(0.005);
  });

  it('shrinks every gap while 0 < g" < 2T and can widen one beyond', () => {
    const curved = (share: number): OuterFunction => ({
      // g'' = share T (1 + sin(3 y)) / 2: between 0 and share T.
      value: (y) => (share * T * (y * y)) / 4 - (share * T * Math.sin(3 * y)) / 18,
      slope: (y) => (share * T * y) / 2 - (share * T * Math.cos(3 * y)) / 6,
    });
    const worst = (share: number): number => {
      let largest = 0;
      for (let i = 0; i < 3000; i++) {
        const f = futures({ model: linear, outer: curved(share), eta }, u.subarray(11 * i, 11 * (i + 1)), 0, 1, [0, 1]);
        largest = Math.max(largest, Math.abs((f.future - f.futureOther) / (f.present - f.presentOther)));
      }
      return largest;
    };
    expect(worst(1.99)).toBeLessThan(1);
    expect(isRelaxed(curved(1.99).slope, T, 0, 6)).toBe(true);
    expect(isRelaxed(curved(2.3).slope, T, 0, 6)).toBe(false);
    expect(isRelaxed((y) => -y, T, 0, 6)).toBe(false);
    // A narrow attribute gap meets the steepest curvature: the factor approaches |1 - sup g"/T|.
    const near = additiveStatus(slopes, (x) => 0.05 * x);
    let largest = 0;
    for (let i = 0; i < 3000; i++) {
      const f = futures({ model: near, outer: curved(2.3), eta }, u.subarray(11 * i, 11 * (i + 1)), 0, 1, [0, 1]);
      largest = Math.max(largest, Math.abs((f.future - f.futureOther) / (f.present - f.presentOther)));
    }
    expect(largest).toBeGreaterThan(1.2);
  });
});

describe('the multiplicative model', () => {
  const { alpha, beta, w, gamma } = model;
  const scaled = multiplicativeStatus(alpha, beta, w, gamma);
  const constant = constants.multiplicativeConstant(alpha, w, gamma, [1, 2], eta);
  const { u, a } = people(500, 11, 5);
  const groupIds = a([1, 2]);

  it('has its own constant, exact at T/2 and half the gap at T/4', () => {
    expect(constant / 2).toBeCloseTo(0.03597195, 8);
    for (const [share, factor] of [
      [0.25, 0.5],
      [0.5, 0],
    ] as const) {
      const gaps = lookaheadGaps({ model: scaled, outer: quadratic(share * constant, 1), eta }, u, groupIds, [1, 2]);
      expect(gaps.future).toBeCloseTo(factor * gaps.present, 9);
    }
  });

  it('allows any h of U_Y but none of U_X, which alone can widen the gap', () => {
    const ofStatus: FreeTerm = {
      value: (x) => Math.sin(x[10]!),
      gradient: (x, out) => {
        out[10]! += Math.cos(x[10]!) + 4;
      },
    };
    const exact = { model: scaled, outer: quadratic(constant / 2, 1), eta };
    expect(lookaheadGaps({ ...exact, free: ofStatus }, u, groupIds, [1, 2]).future).toBeLessThan(1e-9);
    const slope = linearTerm([...new Array(10).fill(0.1), 0]);
    expect(lookaheadGaps({ ...exact, free: slope }, u, groupIds, [1, 2]).future).toBeGreaterThan(0.5);
    const fair = lookaheadGaps({ model: scaled, outer: quadratic(0), free: slope, eta }, u, groupIds, [1, 2]);
    // eta (a - a') times 0.1 sum w alpha widens a mean gap of about 2.21 by 1.84.
    const widened = eta * 0.1 * w.reduce((sum, x, i) => sum + x * alpha[i]!, 0);
    expect(fair.future).toBeCloseTo(fair.present + widened, 9);
    expect(Math.abs(fair.present - 2.21)).toBeLessThan(0.1);
    expect(Math.abs(fair.future - 4.05)).toBeLessThan(0.1);
  });
});

describe('the post-nonlinear model', () => {
  const b = 0.59865848;
  const curve = postNonlinearStatus(powerCurve(b, 2 / 3), (a) => Math.exp(a));
  const { u, a } = people(20_000, 1, 7);
  const groupIds = a([1, 2]);

  it('shrinks every gap below its limit, and not far above it', () => {
    expect(postNonlinearLimit(b, eta, Math.E)).toBeCloseTo(2.4456, 3);
    const ratio = (p1: number): number => {
      let largest = 0;
      for (let i = 0; i < 2000; i++) {
        const f = futures({ model: curve, outer: quadratic(p1), eta }, u.subarray(i, i + 1), 1, 2, [1, 2]);
        largest = Math.max(largest, Math.abs((f.future - f.futureOther) / (f.present - f.presentOther)));
      }
      return largest;
    };
    for (const p1 of [0.1, 0.7, 1.5, 2.4]) {
      expect(ratio(p1)).toBeLessThan(1);
    }
    expect(ratio(9.78)).toBeGreaterThan(1);
  });

  it.each([
    [0.366, 0.738],
    [0.732, 0.506],
    [1.464, 0.163],
    [2.443, 0.182],
  ])('has the known mean gap at p1 = %f: larger is not always better', (p1, expected) => {
    const gaps = lookaheadGaps({ model: curve, outer: quadratic(p1), eta }, u, groupIds, [1, 2]);
    expect(Math.abs(gaps.future - expected)).toBeLessThan(0.003);
  });
});

describe('what people can move', () => {
  it('decides the constant of an averaged score', () => {
    const frozen = Uint8Array.from({ length: 11 }, (_, i) => Number(i === 10));
    const averaged = constants.additiveConstant(slopes, eta, frozen);
    const { u, a } = people(100, 11, 9);
    const future = (constant: number): number =>
      lookaheadGaps({ model: linear, outer: quadratic(constant / 2), eta, frozen }, u, a([0, 1]), [0, 1]).future;
    expect(future(averaged)).toBeLessThan(1e-9);
    expect(future(T)).toBeCloseTo(0.5438, 4);
  });

  it('decides the constant along unfair paths: both conventions, and the price of confusing them', () => {
    // Features 0..3 lie on unfair paths, the others keep the factual attribute.
    const { w, beta } = model;
    const part = (from: number, to: number): number =>
      w.slice(from, to).reduce((sum, x, i) => sum + x * beta[from + i]!, 0);
    const factual = 1;
    const along = additiveStatus(slopes, (a) => part(0, 4) * a + part(4, 10) * factual);
    const frozen = Uint8Array.from({ length: 11 }, (_, i) => Number(i >= 4 && i < 10));
    const narrow = constants.additiveConstant(slopes, eta, frozen);
    const u = stream(1, 'path').uniform(11);
    const unfair = (constant: number, mask?: Uint8Array): number => {
      const f = futures(
        { model: along, outer: quadratic(constant / 2, 1), eta, ...(mask && { frozen: mask }) },
        u,
        1,
        0,
        [0, 1],
      );
      expect(Math.abs(f.present - f.presentOther)).toBeCloseTo(part(0, 4), 9);
      return Math.abs(f.future - f.futureOther);
    };
    expect(unfair(T)).toBeLessThan(1e-9);
    expect(unfair(narrow, frozen)).toBeLessThan(1e-9);
    expect(unfair(T, frozen)).toBeCloseTo(part(0, 4) * Math.abs(1 - T / narrow), 9);
  });
});

describe('abduction of a latent variable', () => {
  const gaussian = (g: number, l: number): posterior.GaussianChild[] => [
    { value: g, offset: 0, weight: 0.9, deviation: 0.4 },
    { value: l, offset: 0, weight: 0.6, deviation: 0.5 },
  ];

  it('has the closed-form variance, and a residual uncorrelated with the mean', () => {
    expect(posterior.gaussianPosterior(gaussian(1, 2)).variance).toBeCloseTo(0.133289, 6);
    const n = 100_000;
    const z = stream(8, 'latent').normal(3 * n);
    let [xy, xx, yy] = [0, 0, 0];
    for (let i = 0; i < n; i++) {
      const k = z[3 * i]!;
      const { mean } = posterior.gaussianPosterior(
        gaussian(0.9 * k + 0.4 * z[3 * i + 1]!, 0.6 * k + 0.5 * z[3 * i + 2]!),
      );
      xy += mean * (k - mean);
      xx += mean * mean;
      yy += (k - mean) ** 2;
    }
    expect(Math.abs(xy / Math.sqrt(xx * yy))).toBeLessThan(0.01);
    expect(yy / n).toBeCloseTo(0.133289, 2);
  });

  it('agrees between the closed form, the grid and fine quadrature', () => {
    const exact = posterior.gaussianPosterior(gaussian(1, 2));
    const grid = posterior.gridPosterior(gaussian(1, 2), []);
    expect(grid.mean).toBeCloseTo(exact.mean, 8);
    expect(grid.variance).toBeCloseTo(exact.variance, 6);
    const poisson = [
      { count: 38, offset: 3.5, weight: 0.15 },
      { count: 0, offset: 0.2, weight: -0.4 },
    ];
    const [got, laplace] = [
      posterior.gridPosterior(gaussian(1, 0.3), poisson),
      posterior.laplacePosterior(gaussian(1, 0.3), poisson),
    ];
    let [mass, first, second] = [0, 0, 0];
    for (let k = -8; k <= 8; k += 1e-4) {
      const density = Math.exp(posterior.logDensity(k, gaussian(1, 0.3), poisson)[0] - 95);
      mass += density;
      first += density * k;
      second += density * k * k;
    }
    expect(got.mean).toBeCloseTo(first / mass, 7);
    expect(got.variance).toBeCloseTo(second / mass - (first / mass) ** 2, 6);
    expect(Math.abs(laplace.mean - got.mean)).toBeLessThan(0.02);
    expect(posterior.logDensity(laplace.mean, gaussian(1, 0.3), poisson)[1]).toBeCloseTo(0, 9);
  });

  it('finds the mode from far away', () => {
    const extreme = posterior.laplacePosterior([], [{ count: 100_000, offset: -3, weight: 1 }]);
    expect(posterior.logDensity(extreme.mean, [], [{ count: 100_000, offset: -3, weight: 1 }])[1]).toBeCloseTo(0, 6);
  });
});
