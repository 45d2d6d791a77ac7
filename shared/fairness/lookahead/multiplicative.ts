/**
 * A deployable lookahead-fair predictor for an attribute that scales the features (arXiv:2412.01065, theorem 5.4 model):
 *   X_i = a (alpha_i U_i + beta_i),  Y = intercept + w . X + gamma U_Y,  Y^ = p1 E[Yc^2] + p2 E[Yc] + p3 + h U_Y.
 * With T = 1 / (eta (a1 a2 sum (w alpha)^2 + gamma^2)) the future gap is |1 - 2 p1/T| times the present one. A term in U_X
 * would break that, so there is none; for the same reason there are exactly two attribute values.
 */
import { jsonPointer } from '../../contracts/problem.ts';
import { dataError } from '../data-error.ts';
import { multiplicativeConstant, quadraticCoefficient } from './constants.ts';
import type { LookaheadGapColumns } from './gaps.ts';

/** `beta` plays no part in a score: Yc = Y + (a'/a - 1) w . X. */
export type MultiplicativePredictor = {
  values: readonly [number, number];
  features: readonly { name: string; weight: number; alpha: number }[];
  status: { name: string; intercept: number; gamma: number };
  eta: number;
  rho: number;
  /** Rows carry the status; otherwise U_Y is averaged over `noise`, nobody can move it, and T leaves gamma out. */
  statusObserved: boolean;
  noise: { mean: number; variance: number };
  p2: number;
  p3: number;
  /** Coefficient of U_Y in h. */
  free: number;
};
export type CompiledMultiplicative = {
  predictor: MultiplicativePredictor;
  /** Columns of a row: the features, then the status where it is observed. */
  inputs: readonly string[];
  weights: Float64Array;
  constant: number;
  p1: number;
  factor: number;
};

/** Raises `data_invalid` (scm_invalid, response_invalid, weights_misfit). */
export function compileMultiplicative(predictor: MultiplicativePredictor): CompiledMultiplicative {
  const { values, features, status, eta, rho, statusObserved, free } = predictor;
  if (values[0] === values[1] || values[0] === 0 || values[1] === 0) {
    throw dataError('scm_invalid', '/values', 'the attribute needs two different values, neither of them 0');
  }
  const inputs = [...features.map((f) => f.name), ...(statusObserved ? [status.name] : [])];
  inputs.forEach((name, j) => {
    if (inputs.indexOf(name) !== j || (j < features.length && name === status.name)) {
      throw dataError(
        'scm_invalid',
        jsonPointer(['features', Math.min(j, features.length - 1), 'name']),
        `two variables are called ${name}`,
      );
    }
  });
  if (free !== 0 && !(statusObserved && status.gamma !== 0)) {
    throw dataError(
      'weights_misfit',
      '/free',
      'h reads the noise of the status: rows must carry it and gamma not be 0',
    );
  }
  const weights = Float64Array.from(features, (f) => f.weight);
  const alpha = features.map((f) => f.alpha);
  const constant = multiplicativeConstant(alpha, weights, statusObserved ? status.gamma : 0, values, eta);
  return { predictor, inputs, weights, constant, p1: quadraticCoefficient(constant, rho), factor: Math.abs(1 - rho) };
}

/** Scores of `rows` (n x inputs) with attribute value numbers `group ids`; where given, each person's gaps now and after. */
export function predictMultiplicative(
  { predictor, inputs, weights, p1, factor }: CompiledMultiplicative,
  rows: Float64Array,
  groupIds: ArrayLike<number>,
  scores: Float64Array,
  gaps?: LookaheadGapColumns,
): void {
  const { values, status, statusObserved, noise, p2, p3, free } = predictor;
  const width = inputs.length;
  const d = weights.length;
  const unknown = statusObserved ? 0 : status.gamma ** 2 * noise.variance;
  const change = [values[1] / values[0] - 1, values[0] / values[1] - 1];
  for (let i = 0; i < scores.length; i++) {
    let scaled = 0;
    for (let j = 0; j < d; j++) {
      scaled += weights[j]! * rows[i * width + j]!;
    }
    const own = status.intercept + scaled;
    const y = statusObserved ? rows[i * width + d]! : own + status.gamma * noise.mean;
    const step = change[groupIds[i]!]! * scaled;
    const other = y + step;
    scores[i] = p1 * (other * other + unknown) + p2 * other + p3 + (free === 0 ? 0 : (free * (y - own)) / status.gamma);
    if (!gaps) {
      continue;
    }
    gaps.present[i] = Math.abs(step);
    gaps.future[i] = factor * gaps.present[i]!;
    if (gaps.score) {
      gaps.score[i] = Math.abs(p1 * (y * y - other * other) + p2 * (y - other));
    }
  }
}
