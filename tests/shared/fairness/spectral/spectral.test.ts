import { describe, expect, it } from 'vitest';
import { type GroupMoments, momentsByGroup, pairDifferences, pooledGram } from '../../../../shared/fairness/moments.ts';
import { shrunkValue, solveBudget } from '../../../../shared/fairness/spectral/budget.ts';
import { correctScalarHead, exactMeanStep } from '../../../../shared/fairness/spectral/exact-mean.ts';
import * as layer from '../../../../shared/fairness/spectral/layer.ts';
import { cholesky, choleskySolve } from '../../../../shared/math/cholesky.ts';
import { singularValues, symmetricEigen } from '../../../../shared/math/decompositions.ts';
import * as m from '../../../../shared/math/matrix.ts';
import { stream } from '../../../../shared/math/random.ts';
import { normalCdf } from '../../../../shared/math/special.ts';
import { frobenius, trace, transpose } from '../../../support/matrix-oracles.ts';

const largest = (a: m.Matrix, b: m.Matrix): number =>
  Math.max(...Array.from(m.add(a, b, -1).data, (value) => Math.abs(value)));
const near = (values: ArrayLike<number>, expected: number[], digits = 6): void =>
  expected.forEach((value, i) => {
    expect(values[i]).toBeCloseTo(value, digits);
  });

/** Two Gaussian groups with different means and covariances, and a weight matrix. */
function world(seed: number, rows = 6, d = 8): { w: m.Matrix; groups: GroupMoments[] } {
  const counts = [1500, 1000];
  const w = m.matrix(rows, d, stream(seed, 'weights').normal(rows * d));
  const groups = counts.map((n, g) => {
    const mix = m.matrix(d, d, stream(seed, `mix${g}`).normal(d * d));
    const shift = stream(seed, `shift${g}`).normal(d);
    const z = m.multiplyTransposed(m.matrix(n, d, stream(seed, `rows${g}`).normal(n * d)), mix);
    for (let i = 0; i < n * d; i++) {
      z.data[i]! += shift[i % d]!;
    }
    return momentsByGroup(z.data, d, new Uint8Array(n), 1)[0]!;
  });
  return { w, groups };
}
/** Moments with the wanted differences and a Gram matrix of the identity (counts need not be whole for the algebra). */
const unitGram = (difference: number[]): GroupMoments[] => {
  const [a, b] = difference as [number, number];
  const share = 0.1;
  const low = [(1 - share * a) / (2 * share), (1 - share * b) / (2 * share)];
  const covariance = (extra: boolean): m.Matrix =>
    m.matrix(2, 2, [low[0]! + (extra ? a : 0), 0, 0, low[1]! + (extra ? b : 0)]);
  return [true, false].map((extra) => ({ count: 1 + share, mean: new Float64Array(2), covariance: covariance(extra) }));
};
const totalDistortion = (w: m.Matrix, edited: m.Matrix, groups: GroupMoments[]): number => {
  const change = m.add(edited, w, -1);
  return trace(m.congruence(change, pooledGram(groups)));
};
const meanGap = (w: m.Matrix, groups: GroupMoments[]): number =>
  m.norm(m.apply(w, pairDifferences(groups).means[0]!)) ** 2;
const covarianceGap = (w: m.Matrix, groups: GroupMoments[]): number =>
  frobenius(m.congruence(w, pairDifferences(groups).covariances[0]!));

describe('group moments', () => {
  it('are those of the definition, and add up to the Gram matrix of all rows', () => {
    const rows = stream(1, 'rows').normal(60);
    const groupIds = Uint8Array.from({ length: 20 }, (_, i) => Number(i % 3 === 0));
    const groups = momentsByGroup(rows, 3, groupIds, 2);
    const x = m.matrix(20, 3, rows);
    expect(largest(pooledGram(groups), m.multiply(transpose(x), x))).toBeLessThan(1e-11);
    const first = m.toRows(x).filter((_, i) => groupIds[i] === 1);
    const mean = first.reduce((sum, row) => sum + row[0]!, 0) / first.length;
    expect(groups[1]!.mean[0]).toBeCloseTo(mean, 12);
    const variance = first.reduce((sum, row) => sum + (row[0]! - mean) ** 2, 0) / (first.length - 1);
    expect(groups[1]!.covariance.data[0]).toBeCloseTo(variance, 12);
    expect(() => momentsByGroup(rows, 3, new Uint8Array(20), 2)).toThrow(/group 1 has 0 rows/);
  });
});

describe('budgets', () => {
  it('use the root of the cubic as it is, not with k where its square belongs', () => {
    expect(shrunkValue(1.7, 2.3, 0.9)).toBeCloseTo(0.974886, 6);
    for (const [s, k, lambda] of [
      [1e-6, 1, 1e9],
      [1e5, 3, 1e-12],
      [2, 1e-9, 4],
    ] as const) {
      const t = shrunkValue(s, k, lambda);
      expect((2 * lambda * t ** 3 + k * t) / (k * s)).toBeCloseTo(1, 10);
    }
  });

  it.each([
    ['covariance', 17, [0.440333, 0.794517], 0.20485],
    ['covariance', 150, [0.233127, 0.506999], 1.891455],
    ['covariance', 2, [0.829335, 0.982277], undefined],
    ['mean', 4, [0.418188, 0.74194], 0.347817],
    ['mean', 15, [0.175046, 0.459096], 1.178195],
  ] as const)('give the known factors: %s, ratio %i', (kind, ratio, factors, lambda) => {
    const solved = solveBudget(kind, [4, 1], [1, 1], ratio);
    near(solved.factors, [...factors]);
    if (lambda !== undefined) {
      expect(solved.lambda).toBeCloseTo(lambda, 6);
    }
    expect((solved.after * ratio) / solved.before).toBeCloseTo(1, 10);
  });

  it('shrink evenly where costs and values are equal, at any scale, and leave a ratio of 1 alone', () => {
    for (const unit of [1e-12, 1, 1e12]) {
      near(solveBudget('mean', [unit, unit, unit], [3 / unit, 3 / unit, 3 / unit], 15).factors, [15 ** -0.5], 12);
      near(solveBudget('covariance', [unit, unit], [unit, unit], 150).factors, [150 ** -0.25], 12);
    }
    near(solveBudget('mean', [3, 1], [1, 2], 1).factors, [1, 1], 15);
    near(solveBudget('covariance', [3, 3], [0, 0], 16).factors, [0.5, 0.5], 12);
    expect(() => solveBudget('mean', [1], [1], 0.5)).toThrow(/c1 must be/);
    expect(() => solveBudget('covariance', [1], [1], Number.NaN)).toThrow(/c2 must be/);
  });

  it('are optimal: no random point within the budget distorts less', () => {
    const random = stream(11, 'points');
    for (const kind of ['mean', 'covariance'] as const) {
      const [squares, costs] = [random.uniform(5, { low: 0.1, high: 4 }), random.uniform(5, { low: 0.1, start: 5 })];
      const power = (r: number, i: number): number =>
        kind === 'mean' ? squares[i]! * r * r : squares[i]! ** 2 * r ** 4;
      const solved = solveBudget(kind, squares, costs, 7);
      for (let trial = 0; trial < 2000; trial++) {
        let r = random.uniform(5, { start: 100 + 5 * trial });
        const total = r.reduce((sum, value, i) => sum + power(value, i), 0);
        const scale = (solved.after / total) ** (kind === 'mean' ? 0.5 : 0.25);
        r = r.map((value) => Math.min(1, value * scale));
        const cost = r.reduce((sum, value, i) => sum + costs[i]! * (1 - value) ** 2, 0);
        expect(cost).toBeGreaterThanOrEqual(solved.distortion - 1e-12);
      }
    }
  });
});

describe('the mean step', () => {
  it('shrinks one direction only when its ridge vanishes', () => {
    const groups: GroupMoments[] = [
      [3, 4],
      [0, 0],
    ].map((mean) => ({
      count: 10,
      mean: Float64Array.from(mean),
      covariance: m.identity(2),
    }));
    const { multiplier } = layer.correctLayer(m.identity(2), groups, { c1: 25, c2: 1, ridge: 1e-12 });
    near(multiplier.data, [0.712, -0.384, -0.384, 0.488], 9);
    near(m.apply(multiplier, [3, 4]), [0.6, 0.8], 9);
    const { w, groups: other } = world(3);
    const u = m.apply(w, pairDifferences(other).means[0]!);
    const limit = m.add(m.identity(6), m.outer(u, u), -(1 - 15 ** -0.5) / m.dot(u, u));
    const close = layer.correctLayer(w, other, { c1: 15, c2: 1, ridge: 1e-10 });
    expect(largest(close.multiplier, limit)).toBeLessThan(1e-6);
    expect(meanGap(close.weights, other) * 15).toBeCloseTo(meanGap(w, other), 5);
  });

  it('equals the form with a Cholesky factor and singular vectors', () => {
    for (let seed = 0; seed < 5; seed++) {
      const { w, groups } = world(seed);
      const d = pairDifferences(groups).means[0]!;
      const ridge = m.add(m.outer(d, d), m.identity(8), layer.MEAN_RIDGE);
      const factor = cholesky(ridge);
      const { left, values: s, right } = singularValues(m.multiply(w, factor));
      const gram = pooledGram(groups);
      // S^{-T} v by a triangular solve: S S^T x = S v gives x = S^{-T} v.
      const costs = Float64Array.from(s, (_, i) => {
        const v = Float64Array.from({ length: 8 }, (__, j) => right.data[j * 6 + i]!);
        const x = choleskySolve(factor, m.apply(factor, v));
        return m.dot(x, m.apply(gram, x));
      });
      const squares = s.map((value) => value * value);
      const { solution } = layer.correctLayer(w, groups, { c1: 15, c2: 1 }).steps[0]!;
      const direct = solveBudget(
        'mean',
        squares,
        Float64Array.from(costs, (k, i) => k * squares[i]!),
        15,
      );
      const t = s.map((value, i) => value * direct.factors[i]!);
      expect(t.reduce((sum, x) => sum + x * x, 0) / (squares.reduce((sum, x) => sum + x, 0) / 15)).toBeCloseTo(1, 9);
      const cost = t.reduce((sum, x, i) => sum + costs[i]! * (x - s[i]!) ** 2, 0);
      expect(solution.distortion / cost).toBeCloseTo(1, 8);
      const leftMultiplier = m.multiplyTransposed(
        { ...left, data: left.data.map((x, i) => x * (direct.factors[i % 6]! - 1)) },
        left,
      );
      const edited = layer.correctLayer(w, groups, { c1: 15, c2: 1 });
      expect(largest(m.add(m.identity(6), leftMultiplier), edited.multiplier)).toBeLessThan(1e-7);
      expect(totalDistortion(w, edited.weights, groups) / cost).toBeCloseTo(1, 8);
      const ratio = meanGap(w, groups) / meanGap(edited.weights, groups);
      expect(ratio).toBeGreaterThanOrEqual(15 * (1 - 1e-9));
      expect(ratio).toBeLessThanOrEqual(15 * 1.001);
    }
  });

  it('is beaten by the exact step, which reaches the same gap with less distortion', () => {
    for (let seed = 0; seed < 5; seed++) {
      const { w, groups } = world(seed);
      const tau = 15 ** -0.5;
      const exact = exactMeanStep(w, groups, tau);
      expect(meanGap(exact.weights, groups) * 15).toBeCloseTo(meanGap(w, groups), 8);
      expect(totalDistortion(w, exact.weights, groups) / exact.distortion).toBeCloseTo(1, 8);
      const spectral = layer.correctLayer(w, groups, { c1: 15, c2: 1 });
      expect(exact.distortion).toBeLessThan(totalDistortion(w, spectral.weights, groups));
    }
  });
});

describe('the covariance step', () => {
  it('has the known singular values and factors on a diagonal difference', () => {
    const groups = unitGram([4, -1]);
    for (const at of ['input', 'pre_activation'] as const) {
      const step = layer.correctLayer(m.identity(2), groups, { c1: 1, c2: 17, covarianceAt: at }).steps[0]!;
      near(step.spectrum.squares, [4, 1], 12);
      near(step.spectrum.costs, [1, 1], 12);
      near(step.solution.factors, [0.440333, 0.794517]);
    }
  });

  it('equals the form with S_v = Q sqrt|L| and stays within its bound, with equality for differences of one sign', () => {
    for (let seed = 0; seed < 100; seed++) {
      const random = stream(seed, 'bound');
      const w = m.matrix(4, 5, random.normal(20));
      const raw = m.symmetrise(m.matrix(5, 5, random.normal(25, { start: 20 })));
      const d = seed % 4 === 0 ? m.multiplyTransposed(raw, raw) : raw;
      const { values, vectors } = symmetricEigen(d);
      const root = { ...vectors, data: vectors.data.map((x, i) => x * Math.sqrt(Math.abs(values[i % 5]!))) };
      const s = singularValues(m.multiply(w, root)).values;
      const fourth = s.reduce((sum, x) => sum + x ** 4, 0);
      const exact = frobenius(m.congruence(w, d)) ** 2;
      expect(exact).toBeLessThanOrEqual(fourth * (1 + 1e-10));
      if (seed % 4 === 0) {
        expect(exact / fourth).toBeCloseTo(1, 9);
      }
      const squares = symmetricEigen(m.congruence(w, layer.absolute(d))).values;
      squares.forEach((x, i) => {
        expect(x / s[i]! ** 2).toBeCloseTo(1, 8);
      });
    }
  });

  it('holds the bound after the step; the mean step after it meets its own budget', () => {
    for (let seed = 0; seed < 5; seed++) {
      const { w, groups } = world(seed);
      const first = layer.correctLayer(w, groups, { c1: 1, c2: 150 });
      const { before } = first.steps[0]!.solution;
      expect(covarianceGap(first.weights, groups)).toBeLessThanOrEqual(Math.sqrt(before / 150) * (1 + 1e-9));
      const both = layer.correctLayer(w, groups, { c1: 15, c2: 150 });
      expect(meanGap(both.weights, groups)).toBeLessThanOrEqual((meanGap(first.weights, groups) / 15) * 1.0001);
      expect(largest(m.multiply(both.multiplier, w), both.weights)).toBeLessThan(1e-11);
      expect(both.steps.map((step) => step.spectrum.kind)).toEqual(['covariance', 'mean']);
    }
  });

  it('reaches its ratio exactly when taken in pre-activation space, with less distortion at that ratio', () => {
    for (let seed = 0; seed < 5; seed++) {
      const { w, groups } = world(seed);
      const sharp = layer.correctLayer(w, groups, { c1: 1, c2: 150, covarianceAt: 'pre_activation' });
      expect((covarianceGap(w, groups) / covarianceGap(sharp.weights, groups)) ** 2).toBeCloseTo(150, 6);
      let [low, high] = [1, 1e6];
      for (let i = 0; i < 60; i++) {
        const c2 = Math.sqrt(low * high);
        const gap = covarianceGap(layer.correctLayer(w, groups, { c1: 1, c2 }).weights, groups);
        if ((covarianceGap(w, groups) / gap) ** 2 < 150) {
          low = c2;
        } else {
          high = c2;
        }
      }
      const paper = layer.correctLayer(w, groups, { c1: 1, c2: high });
      expect(totalDistortion(w, sharp.weights, groups)).toBeLessThan(totalDistortion(w, paper.weights, groups));
    }
  });
});

describe('limits of the method', () => {
  it('leaves the weights alone at c1 = c2 = 1 and scales a single output row', () => {
    const { w, groups } = world(2);
    expect(layer.correctLayer(w, groups, { c1: 1, c2: 1 }).weights.data).toEqual(w.data);
    const row = m.matrix(1, 8, w.data.subarray(0, 8));
    const mean = layer.correctLayer(row, groups, { c1: 15, c2: 1 });
    near(
      mean.weights.data,
      Array.from(row.data, (x) => x * 0.258199),
      5,
    );
    expect(mean.multiplier.data[0]).toBeCloseTo(0.258199, 6);
    expect(layer.correctLayer(row, groups, { c1: 1, c2: 150 }).multiplier.data[0]).toBeCloseTo(0.285744, 6);
  });

  it('bounds every pair of three groups', () => {
    const { w, groups } = world(4);
    const third = world(9).groups[0]!;
    const all = [...groups, third];
    const c2 = 40;
    const { weights, steps } = layer.correctLayer(w, all, { c1: 1, c2 });
    for (const d of pairDifferences(all).covariances) {
      expect(frobenius(m.congruence(weights, d))).toBeLessThanOrEqual(Math.sqrt(steps[0]!.solution.before / c2));
    }
    const mean = layer.correctLayer(w, all, { c1: 9, c2: 1 });
    const gaps = pairDifferences(all).means.map((d) => m.norm(m.apply(mean.weights, d)) ** 2);
    expect(gaps.reduce((sum, x) => sum + x, 0)).toBeLessThanOrEqual(mean.steps[0]!.solution.after);
    expect(() => exactMeanStep(w, all, 0.5)).toThrow(/two groups/);
  });
});

describe('the scalar head', () => {
  const groups: GroupMoments[] = [1, -1].map((x) => ({
    count: 1_000_000,
    mean: Float64Array.from([x, 0]),
    // Within-group covariance I: pooled covariance diag(2, 1).
    covariance: { ...m.identity(2), data: m.identity(2).data.map((v) => (v * 1_000_000) / 999_999) },
  }));

  it('follows the Gaussian closed form', () => {
    const head = { weights: Float64Array.from([1, 1]), bias: 0.5 };
    const none = correctScalarHead(head, groups, 0);
    near(none.weights, [0, 1], 12);
    expect(none.distortion).toBeCloseTo(2, 9);
    expect(none.gapBefore).toBeCloseTo(2, 12);
    expect(none.gapAfter).toBeCloseTo(0, 12);
    const half = correctScalarHead(head, groups, 0.5);
    near(half.weights, [0.5, 1], 12);
    expect(half.gapAfter).toBeCloseTo(1, 12);
    const ks = (gap: number, deviation: number): number => 2 * normalCdf(gap / (2 * deviation)) - 1;
    expect(ks(2, Math.SQRT2)).toBeCloseTo(0.5205, 4);
    expect(ks(half.gapAfter, Math.hypot(0.5, 1))).toBeCloseTo(0.3453, 4);
  });

  it('keeps the pooled mean prediction and reaches tau times the gap on any features', () => {
    const { groups: other, w } = world(6);
    const head = { weights: w.data.slice(0, 8), bias: -1 };
    for (const tau of [0, 0.25, 1]) {
      const edited = correctScalarHead(head, other, tau);
      expect(edited.gapAfter).toBeCloseTo(tau * edited.gapBefore, 9);
      const total = other[0]!.count + other[1]!.count;
      const mean = other[0]!.mean.map((x, j) => (x * other[0]!.count + other[1]!.mean[j]! * other[1]!.count) / total);
      expect(m.dot(edited.weights, mean) + edited.bias).toBeCloseTo(m.dot(head.weights, mean) + head.bias, 9);
    }
    expect(() => correctScalarHead(head, other, 2)).toThrow(/tau/);
    const flat: GroupMoments[] = [1, 2].map((x) => ({
      count: 50,
      mean: Float64Array.from([x, x]),
      covariance: m.zeros(2, 2),
    }));
    expect(() => correctScalarHead({ weights: Float64Array.from([1, 2]), bias: 0 }, flat, 0)).toThrow(/singular/);
  });
});
