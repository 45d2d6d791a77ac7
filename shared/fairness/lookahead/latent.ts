/**
 * A deployable lookahead-fair predictor on a latent variable K ~ N(0, 1) that people can move (arXiv:2412.01065, law school
 * and loan models): Gaussian and Poisson children reveal K, the status is offset(a, covariates) + w K. The score is the
 * average over the posterior of K of
 *   p1 sum_b Yc_b^2 + p2 sum_b Yc_b + p3 + h K,      T = 1 / (eta w^2);
 * the promise holds for every draw of K, whose gap |offset(a) - offset(b)| does not depend on K.
 */
import { jsonPointer } from '../../contracts/problem.ts';
import { dataError } from '../data-error.ts';
import { additiveConstant, quadraticCoefficient } from './constants.ts';
import type { LookaheadGapColumns } from './gaps.ts';
import { type GaussianChild, gaussianPosterior, gridPosterior, type PoissonChild } from './posterior.ts';

/** Intercept, one effect per attribute value, one weight per covariate feature, weight of K; the mean or the log rate. */
type LatentEquation = {
  name: string;
  intercept: number;
  effects: readonly number[];
  covariates: readonly number[];
  weight: number;
};
type LatentChildEquation = LatentEquation & ({ family: 'gaussian'; deviation: number } | { family: 'poisson' });
export type LatentPredictor = {
  /** Attribute values and covariate features there are. */
  values: number;
  covariates: number;
  children: readonly LatentChildEquation[];
  /** `deviation`: of its residual where rows carry the status, which then reveals K too; null where they do not. */
  status: LatentEquation & { deviation: number | null };
  eta: number;
  rho: number;
  p2: number;
  p3: number;
  /** Coefficient of K in h. */
  free: number;
};
type CompiledLatent = {
  predictor: LatentPredictor;
  /** Columns beside the covariates: the children, then the status where it is observed. */
  inputs: readonly string[];
  constant: number;
  p1: number;
  factor: number;
  poisson: number;
};

/** Raises `data_invalid` (scm_invalid, response_invalid, weights_misfit). */
export function compileLatent(predictor: LatentPredictor): CompiledLatent {
  const { values, covariates, children, status, eta, rho } = predictor;
  const equations = [...children, status];
  equations.forEach((equation, j) => {
    const at = j < children.length ? `/children/${j}` : '/status';
    if (equations.findIndex((other) => other.name === equation.name) !== j) {
      throw dataError('scm_invalid', `${at}/name`, `two variables are called ${equation.name}`);
    }
    if (equation.effects.length !== values) {
      throw dataError('scm_invalid', `${at}/effects`, `${equation.name} needs ${values} effects, one per label`);
    }
    if (equation.covariates.length !== covariates) {
      throw dataError(
        'weights_misfit',
        `${at}/covariates`,
        `${equation.name} needs ${covariates} weights, one per feature of the covariates`,
      );
    }
  });
  const constant = additiveConstant([status.weight], eta, undefined, '/status/weight');
  return {
    predictor,
    inputs: [...children.map((c) => c.name), ...(status.deviation === null ? [] : [status.name])],
    constant,
    p1: quadraticCoefficient(constant, rho),
    factor: Math.abs(1 - rho),
    poisson: children.filter((c) => c.family === 'poisson').length,
  };
}

const meanAt = (e: LatentEquation, a: number, covariates: Float64Array): number => {
  let sum = e.intercept + e.effects[a]!;
  for (let j = 0; j < covariates.length; j++) {
    sum += e.covariates[j]! * covariates[j]!;
  }
  return sum;
};

/**
 * Scores of people with children (and status) `rows` (n x inputs), covariate features `features` (n x covariates) and
 * attribute value numbers `group ids`. Raises `data_invalid` (value_out_of_range) for counts that are not whole numbers from 0.
 */
export function predictLatent(
  { predictor, inputs, p1, factor }: CompiledLatent,
  rows: Float64Array,
  features: Float64Array,
  groupIds: ArrayLike<number>,
  scores: Float64Array,
  gaps?: LookaheadGapColumns,
): void {
  const { values, covariates, children, status, p2, p3, free } = predictor;
  const width = inputs.length;
  for (let i = 0; i < scores.length; i++) {
    const a = groupIds[i]!;
    const own = features.subarray(i * covariates, (i + 1) * covariates);
    const gaussian: GaussianChild[] = [];
    const poisson: PoissonChild[] = [];
    children.forEach((child, j) => {
      const [value, offset, weight] = [rows[i * width + j]!, meanAt(child, a, own), child.weight];
      if (child.family === 'gaussian') {
        gaussian.push({ value, offset, weight, deviation: child.deviation });
      } else if (Number.isSafeInteger(value) && value >= 0) {
        poisson.push({ count: value, offset, weight });
      } else {
        throw dataError(
          'value_out_of_range',
          jsonPointer(['columns', child.name, i]),
          `row ${i} counts ${value}; whole numbers from 0 are counts`,
        );
      }
    });
    const mean = meanAt(status, a, own);
    if (status.deviation !== null) {
      gaussian.push({
        value: rows[i * width + children.length]!,
        offset: mean,
        weight: status.weight,
        deviation: status.deviation,
      });
    }
    const k = poisson.length > 0 ? gridPosterior(gaussian, poisson) : gaussianPosterior(gaussian);
    const y = mean + status.weight * k.mean;
    let [squares, sum, gap, change] = [0, 0, 0, 0];
    for (let b = 0; b < values; b++) {
      if (b === a) {
        continue;
      }
      const shift = status.effects[b]! - status.effects[a]!;
      const other = y + shift;
      squares += other * other + status.weight ** 2 * k.variance;
      sum += other;
      gap += Math.abs(shift);
      change += Math.abs(p1 * (y * y - other * other) + p2 * (y - other));
    }
    scores[i] = p1 * squares + p2 * sum + p3 + free * k.mean;
    if (!gaps) {
      continue;
    }
    gaps.present[i] = gap / (values - 1);
    gaps.future[i] = factor * gaps.present[i]!;
    if (gaps.score) {
      gaps.score[i] = change / (values - 1);
    }
  }
}
