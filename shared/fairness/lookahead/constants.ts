/**
 * The constant T that makes a quadratic score lookahead fair: with p1 = T / 2 the future gap vanishes, in general it is
 * |1 - 2 p1 / T| times the present one. T depends on eta and on the exogenous variables that people can move.
 */
import { dataError } from '../data-error.ts';
import { requireEta } from './response.ts';

const inverse = (eta: number, square: number, what: string, pointer: string): number => {
  requireEta(eta);
  if (!(square > 0)) {
    throw dataError('response_invalid', pointer, `${what} is not above 0: no reaction can change the status`);
  }
  const constant = 1 / (eta * square);
  // Beyond what a number can hold the score would be 0 or infinite, and keep no promise.
  if (!(constant > 0 && Number.isFinite(constant))) {
    throw dataError('response_invalid', '/eta', `1 / (eta * ${square}) is beyond double precision for eta = ${eta}`);
  }
  return constant;
};

/** T = 1 / (eta ||c||^2) over the slopes c = dY/dU that are not frozen; `pointer` is where they are stated. */
export function additiveConstant(
  slopes: ArrayLike<number>,
  eta: number,
  frozen?: ArrayLike<number>,
  pointer = '/scm',
): number {
  let square = 0;
  for (let i = 0; i < slopes.length; i++) {
    if (!frozen?.[i]) {
      square += slopes[i]! ** 2;
    }
  }
  return inverse(eta, square, 'the slope of the status in the variables that people can move', pointer);
}

/** T = 1 / (eta (a1 a2 sum w_i^2 alpha_i^2 + gamma^2)) for X = a (alpha U_X + beta). */
export function multiplicativeConstant(
  alpha: ArrayLike<number>,
  w: ArrayLike<number>,
  gamma: number,
  values: readonly [number, number],
  eta: number,
): number {
  let square = 0;
  for (let i = 0; i < w.length; i++) {
    square += (w[i]! * alpha[i]!) ** 2;
  }
  return inverse(eta, values[0] * values[1] * square + gamma ** 2, 'a1 a2 sum (w alpha)^2 + gamma^2', '/features');
}

/** The quadratic coefficient that leaves 1 - rho of the gap: p1 = rho T / 2. rho = 1 is exact fairness. */
export function quadraticCoefficient(constant: number, rho: number): number {
  if (!(rho >= 0 && rho <= 2)) {
    throw dataError(
      'response_invalid',
      '/rho',
      `rho lies in [0, 2] (1 removes the future gap, above 1 it overshoots), got ${rho}`,
    );
  }
  return (rho * constant) / 2;
}

/** |1 - 2 p1 / T|, the future gap relative to the present one under a quadratic score. */
export const gapFactor = (p1: number, constant: number): number => Math.abs(1 - (2 * p1) / constant);

/** The factor 1 - 0.75 / (sqrt y + sqrt yc) of the score p1 y^1.5 with p1 = T / 2, generalised to any p1. */
export const powerGapFactor = (p1: number, constant: number, y: number, yc: number): number =>
  1 - (1.5 * p1) / constant / (Math.sqrt(y) + Math.sqrt(yc));

/**
 * Largest p1 for which g = p1 y^2 shrinks every gap of Y = b (U + phi)^(2/3), with `lowest` the least value of U + phi:
 * G'' < 2 / eta, where G = g o f = p1 b^2 v^(4/3).
 */
export const postNonlinearLimit = (b: number, eta: number, lowest: number): number =>
  9 / (2 * eta * b ** 2 * lowest ** (-2 / 3));

/**
 * Whether the outer function makes every gap on [low, high] smaller: 0 < (g'(y) - g'(yc)) / (y - yc) < 2 T, checked on the
 * derivative's slopes between `steps` points (exact for convex g whose slopes are monotone between them).
 */
export function isRelaxed(
  slope: (y: number) => number,
  constant: number,
  low: number,
  high: number,
  steps = 1000,
): boolean {
  const h = (high - low) / steps;
  for (let i = 0; i < steps; i++) {
    const rate = (slope(low + (i + 1) * h) - slope(low + i * h)) / h;
    if (!(rate > 0 && rate < 2 * constant)) {
      return false;
    }
  }
  return true;
}

/**
 * Least mean squared error that exact fairness costs in the linear model when U is known and h is free:
 * 4 p1^2 gap^2 Var(A) Var(c . U), `gap` the present gap per unit of A.
 */
export const leastError = (p1: number, gap: number, attributeVariance: number, statusVariance: number): number =>
  4 * p1 ** 2 * gap ** 2 * attributeVariance * statusVariance;
