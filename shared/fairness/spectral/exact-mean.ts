/** Mean gaps removed with the least possible distortion, without keeping singular vectors: a layer and a scalar head. */
import { SingularMatrixError, solveRidge } from '../../math/cholesky.ts';
import { add, apply, dot, type Matrix, norm, outer } from '../../math/matrix.ts';
import { dataError } from '../data-error.ts';
import { type GroupMoments, pairDifferences, pooledGram, pooledMoments } from '../moments.ts';

const requireTau = (tau: number): void => {
  if (!(tau >= 0 && tau <= 1)) throw dataError('budget_invalid', '/tau', `tau lies in [0, 1], got ${tau}`);
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
    if (!(error instanceof SingularMatrixError)) throw error;
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
  if (norm(d) === 0) return { weights: w, distortion: 0 };
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
 * Scalar head f(h) = w . h + b: w~ = w - (1 - tau) (w . d) C^{-1} d / (d^T C^{-1} d), b~ = b + (w - w~) . mu, with the
 * pooled mean mu and covariance C of the features; the mean gap becomes exactly tau times the old one.
 */
export function correctScalarHead(
  head: ScalarHead,
  groups: readonly GroupMoments[],
  tau: number,
  ridge = 0,
): ScalarHeadCorrection {
  requireTau(tau);
  const d = requirePair(groups);
  const gapBefore = dot(head.weights, d);
  if (norm(d) === 0)
    return { weights: head.weights.slice(), bias: head.bias, distortion: 0, gapBefore, gapAfter: gapBefore };
  const { mean, covariance } = pooledMoments(groups);
  const solved = solve(covariance, d, ridge);
  const scale = dot(d, solved);
  const step = ((1 - tau) * gapBefore) / scale;
  const weights = head.weights.map((value, j) => value - step * solved[j]!);
  const change = head.weights.map((value, j) => value - weights[j]!);
  return {
    weights,
    bias: head.bias + dot(change, mean),
    distortion: dot(change, apply(covariance, change)),
    gapBefore,
    gapAfter: dot(weights, d),
  };
}
