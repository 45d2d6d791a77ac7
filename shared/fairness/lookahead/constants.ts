/**
 * The constant T that makes a quadratic score lookahead fair: with p1 = T / 2 the future gap vanishes, in general it is
 * |1 - 2 p1 / T| times the present one. T depends on eta and on the exogenous variables that people can move.
 */
import { dataError } from '../data-error.ts';

export const requireEta = (eta: number): void => {
  if (!(eta > 0 && Number.isFinite(eta))) {
    throw dataError(
      'response_invalid',
      '/eta',
      `eta, the strength of the reaction, must be a finite number above 0, got ${eta}`,
    );
  }
};

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
