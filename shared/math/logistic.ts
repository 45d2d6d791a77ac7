/** Logistic regression by Newton's method with step halving; targets may be any number in [0, 1]. */
import { solveRidge } from './cholesky.ts';
import { zeros } from './matrix.ts';
import { sigmoid, softplus } from './special.ts';

/**
 * Coefficients (d + 1, the intercept last) that minimise the mean cross-entropy plus l2/2 times the squared coefficients
 * (intercept excepted) on `x` (n x d, row-major) and `y` (n). `rows` restricts the fit to these rows, `weights` (n) counts
 * them. Separable rows converge because l2 > 0. Raises RangeError for no rows or l2 <= 0.
 */
export function logisticRegression(
  x: Float64Array,
  y: ArrayLike<number>,
  d: number,
  {
    l2 = 1e-4,
    weights,
    rows,
    iterations = 50,
    judge,
  }: {
    l2?: number;
    weights?: ArrayLike<number>;
    rows?: ArrayLike<number>;
    iterations?: number;
    /** Told the largest slope of the loss where the iterations end: 0 but for rounding if they arrived. */
    judge?: (slope: number) => void;
  } = {},
): Float64Array {
  if (!(l2 > 0)) {
    throw new RangeError(`l2 must be above 0, got ${l2}`);
  }
  const count = rows ? rows.length : y.length;
  let total = 0;
  for (let r = 0; r < count; r++) {
    total += weights ? weights[rows ? rows[r]! : r]! : 1;
  }
  if (!(total > 0)) {
    throw new RangeError('a logistic regression needs at least one row of positive weight');
  }
  const width = d + 1;
  let beta = new Float64Array(width);

  const loss = (b: Float64Array): number => {
    let sum = 0;
    for (let r = 0; r < count; r++) {
      const i = rows ? rows[r]! : r;
      let a = b[d]!;
      for (let j = 0; j < d; j++) {
        a += b[j]! * x[i * d + j]!;
      }
      sum += (weights ? weights[i]! : 1) * (softplus(a) - y[i]! * a);
    }
    let penalty = 0;
    for (let j = 0; j < d; j++) {
      penalty += b[j]! * b[j]!;
    }
    return sum / total + (l2 / 2) * penalty;
  };

  const gradient = new Float64Array(width);
  const hessian = zeros(width, width);
  const row = new Float64Array(width);
  row[d] = 1;
  let current = loss(beta);
  let slope = Number.POSITIVE_INFINITY;
  for (let iteration = 0; iteration < iterations; iteration++) {
    gradient.fill(0);
    hessian.data.fill(0);
    for (let r = 0; r < count; r++) {
      const i = rows ? rows[r]! : r;
      let a = beta[d]!;
      for (let j = 0; j < d; j++) {
        row[j] = x[i * d + j]!;
        a += beta[j]! * row[j]!;
      }
      const p = sigmoid(a);
      const weight = (weights ? weights[i]! : 1) / total;
      const curvature = weight * p * (1 - p);
      for (let j = 0; j < width; j++) {
        const value = row[j]!;
        if (value === 0) {
          continue;
        }
        gradient[j]! += weight * (p - y[i]!) * value;
        for (let k = 0; k <= j; k++) {
          hessian.data[j * width + k]! += curvature * value * row[k]!;
        }
      }
    }
    let largest = 0;
    for (let j = 0; j < width; j++) {
      if (j < d) {
        gradient[j]! += l2 * beta[j]!;
        hessian.data[j * width + j]! += l2;
      }
      for (let k = 0; k < j; k++) {
        hessian.data[k * width + j] = hessian.data[j * width + k]!;
      }
      largest = Math.max(largest, Math.abs(gradient[j]!));
    }
    slope = largest;
    if (largest < 1e-9) {
      break;
    }
    const step = solveRidge(hessian, gradient, 1e-12);
    let [scale, improved] = [1, false];
    for (let halving = 0; halving < 40 && !improved; halving++, scale /= 2) {
      const trial = beta.map((value, j) => value - scale * step[j]!);
      const next = loss(trial);
      if (next <= current) {
        [beta, current, improved] = [trial, next, true];
      }
    }
    if (!improved) {
      break;
    }
  }
  judge?.(slope);
  return beta;
}
