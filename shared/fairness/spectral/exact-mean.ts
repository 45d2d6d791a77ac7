/** Mean gaps removed with the least possible distortion, without keeping singular vectors: a layer and a scalar head. */
import { SingularMatrixError, solveRidge } from '../../math/cholesky.ts';
import { add, apply, dot, type Matrix, norm, outer, zeros } from '../../math/matrix.ts';
import { dataError } from '../data-error.ts';
import { type GroupMoments, pairDifferences, pooledGram, pooledMoments } from '../moments.ts';

const requireTau = (tau: number): void => {
  if (!(tau >= 0 && tau <= 1)) {
    throw dataError('budget_invalid', '/tau', `tau lies in [0, 1], got ${tau}`);
  }
};
const requirePair = (groups: readonly GroupMoments[]): Float64Array => {
  if (groups.length !== 2) {
    throw dataError('group_count', '/groups', `this correction is defined for two groups, got ${groups.length}`);
  }
  return pairDifferences(groups).means[0]!;
};
const solve = (m: Matrix, d: Float64Array, ridge: number): Float64Array => {
  try {
    return solveRidge(m, d, ridge);
  } catch (error) {
    if (!(error instanceof SingularMatrixError)) {
      throw error;
    }
    throw dataError(
      'matrix_singular',
      '/moments',
      `the features' second moments are singular; a ridge above ${ridge} helps`,
    );
  }
};

type MeanCorrection = { weights: Matrix; distortion: number };

/**
 * Minimises ||X (W~ - W)^T||_F^2 subject to ||W~ d|| <= tau ||W d||, d = mu_1 - mu_2:
 * W~ = W - (1 - tau) (W d)(M^{-1} d)^T / (d^T M^{-1} d), M the uncentred Gram matrix; `distortion` is the minimum.
 * Raises `data_invalid` for other than two groups, tau outside [0, 1] or a singular M.
 */
export function exactMeanStep(w: Matrix, groups: readonly GroupMoments[], tau: number, ridge = 0): MeanCorrection {
  requireTau(tau);
  const d = requirePair(groups);
  if (norm(d) === 0) {
    return { weights: w, distortion: 0 };
  }
  const solved = solve(pooledGram(groups), d, ridge);
  const moved = apply(w, d);
  const scale = dot(d, solved);
  return {
    weights: add(w, outer(moved, solved), -(1 - tau) / scale),
    distortion: ((1 - tau) ** 2 * dot(moved, moved)) / scale,
  };
}

type ScalarHead = { weights: Float64Array; bias: number };
/** `distortion` is E(f~ - f)^2, the least that reaches the gap; gaps are signed, group 0 minus group 1. */
type ScalarHeadCorrection = ScalarHead & { distortion: number; gapBefore: number; gapAfter: number };

/**
 * Scalar head f(h) = w . h + b, its mean gaps all multiplied by tau at the least mean squared change of the scores: with the
 * pooled mean mu and covariance C of the features and the differences D (d x (G - 1)) of every other group's mean to the
 * first's, w~ = w - (1 - tau) C^{-1} D (D^T C^{-1} D)^{-1} D^T w and b~ = b + (w - w~) . mu. With two groups that is
 * w~ = w - (1 - tau) (w . d) C^{-1} d / (d^T C^{-1} d). Gaps are those of the pair that is furthest apart before.
 */
export function correctScalarHead(
  head: ScalarHead,
  groups: readonly GroupMoments[],
  tau: number,
  ridge = 0,
): ScalarHeadCorrection {
  requireTau(tau);
  if (groups.length < 2) {
    throw dataError('group_count', '/groups', `a gap is between at least two groups, got ${groups.length}`);
  }
  const gaps = pairDifferences(groups).means.map((d) => ({ d, gap: dot(head.weights, d) }));
  const widest = gaps.reduce((most, pair) => (Math.abs(pair.gap) > Math.abs(most.gap) ? pair : most));
  const gapBefore = widest.gap;
  const unchanged = { weights: head.weights.slice(), bias: head.bias, distortion: 0, gapBefore, gapAfter: gapBefore };
  // Differences to the first group span those of all pairs; group means that coincide or lie on a line add nothing.
  const differences = gaps.slice(0, groups.length - 1).filter(({ d }) => norm(d) > 0);
  if (differences.length === 0) {
    return unchanged;
  }
  const { mean, covariance } = pooledMoments(groups);
  const solved = differences.map(({ d }) => solve(covariance, d, ridge));
  const size = differences.length;
  const gram = zeros(size, size);
  for (const [i, { d }] of differences.entries()) {
    for (const [j, column] of solved.entries()) {
      gram.data[i * size + j] = dot(d, column);
    }
  }
  const wanted = differences.map(({ gap }) => (1 - tau) * gap);
  const steps = size === 1 ? [wanted[0]! / gram.data[0]!] : solve(gram, Float64Array.from(wanted), 1e-12);
  const change = new Float64Array(head.weights.length);
  for (const [j, column] of solved.entries()) {
    for (let i = 0; i < change.length; i++) {
      change[i]! += steps[j]! * column[i]!;
    }
  }
  const weights = head.weights.map((value, j) => value - change[j]!);
  return {
    weights,
    bias: head.bias + dot(change, mean),
    distortion: dot(change, apply(covariance, change)),
    gapBefore,
    gapAfter: dot(weights, widest.d),
  };
}
