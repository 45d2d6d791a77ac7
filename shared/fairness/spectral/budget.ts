/**
 * Shrinking singular values within a budget (Zuo, Zhu, Khalili, "Post-processing for Fair Regression via Explainable
 * SVD", arXiv:2504.03093). A mean budget bounds the sum of squared values, a covariance budget the sum of fourth powers;
 * the factors below are the least distorting ones.
 */
import { fallingRoot } from '../../math/roots.ts';
import { dataError } from '../data-error.ts';

export type BudgetKind = 'mean' | 'covariance';

/** The real root t of 2 lambda t^3 + k t - k s = 0, in a form without cancellation; t = 0 where k = 0. */
export function shrunkValue(s: number, k: number, lambda: number): number {
  if (lambda === 0) {
    return s;
  }
  if (k === 0) {
    return 0;
  }
  const p = k / (2 * lambda);
  const q = p * s;
  return 2 * Math.sqrt(p / 3) * Math.sinh(Math.asinh(((3 * q) / (2 * p)) * Math.sqrt(3 / p)) / 3);
}

/**
 * `factors[i]` = t_i / s_i in (0, 1]; `lambda` is the multiplier of the budget; `distortion` = sum g_i (1 - factors_i)^2;
 * `before` and `after` are the budgeted sums.
 */
export type BudgetSolution = {
  factors: Float64Array;
  lambda: number;
  distortion: number;
  before: number;
  after: number;
};

/**
 * Least distorting factors r_i for squared singular values `squares` and distortion weights `costs` (g_i >= 0) under
 *   mean:        sum s_i^2 r_i^2 <= sum s_i^2 / ratio,   r_i = g_i / (g_i + lambda s_i^2)
 *   covariance:  sum s_i^4 r_i^4 <= sum s_i^4 / ratio,   2 lambda s_i^4 r_i^3 + g_i r_i - g_i = 0
 * with lambda the unique root that meets the budget. Raises `data_invalid` (budget_invalid) for a ratio below 1.
 */
export function solveBudget(
  kind: BudgetKind,
  squares: ArrayLike<number>,
  costs: ArrayLike<number>,
  ratio: number,
): BudgetSolution {
  const name = kind === 'mean' ? 'c1' : 'c2';
  if (!(ratio >= 1 && Number.isFinite(ratio))) {
    throw dataError('budget_invalid', `/${name}`, `${name} must be a finite number from 1, got ${ratio}`);
  }
  const size = squares.length;
  const factors = new Float64Array(size).fill(1);
  const power = (i: number): number => (kind === 'mean' ? squares[i]! : squares[i]! ** 2);
  let [before, largestPower, largestCost] = [0, 0, 0];
  for (let i = 0; i < size; i++) {
    before += power(i);
    largestPower = Math.max(largestPower, power(i));
    largestCost = Math.max(largestCost, costs[i]!);
  }
  if (!(Number.isFinite(before) && Number.isFinite(largestCost))) {
    throw dataError('value_out_of_range', '/squares', 'the budgeted sum is beyond double precision');
  }
  if (ratio === 1 || before === 0) {
    return { factors, lambda: 0, distortion: 0, before, after: before };
  }
  // Solved in units where the largest value and the largest cost are 1, so that the bracket never depends on scale.
  const costUnit = largestCost || 1;
  const spent = (lambda: number): number => {
    let total = 0;
    for (let i = 0; i < size; i++) {
      const weight = power(i) / largestPower;
      const cost = costs[i]! / costUnit;
      const r =
        kind === 'mean' ? (cost === 0 ? 0 : cost / (cost + lambda * weight)) : shrunkValue(1, cost, lambda * weight);
      factors[i] = r;
      total += weight * (kind === 'mean' ? r * r : r ** 4);
    }
    return total;
  };
  const goal = before / largestPower / ratio;
  let scaled = 0;
  try {
    if (largestCost > 0) {
      scaled = fallingRoot((lambda) => spent(lambda) - goal);
    }
  } catch (error) {
    if (!(error instanceof RangeError)) {
      throw error;
    }
    throw dataError('budget_invalid', `/${name}`, `no multiplier reaches ${name} = ${ratio} for these values`);
  }
  if (largestCost === 0) {
    factors.fill(kind === 'mean' ? ratio ** -0.5 : ratio ** -0.25);
  }
  const after = largestCost === 0 ? before / ratio : spent(scaled) * largestPower;
  let distortion = 0;
  for (let i = 0; i < size; i++) {
    distortion += costs[i]! * (1 - factors[i]!) ** 2;
  }
  return { factors, lambda: (scaled * costUnit) / largestPower, distortion, before, after };
}
