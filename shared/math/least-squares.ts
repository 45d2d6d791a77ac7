/** Linear least squares with an intercept, from centred second moments. */
import { solveRidge } from './cholesky.ts';
import { zeros } from './matrix.ts';

/** y ~ intercept + coefficients . x; `residual` is the mean squared residual on the rows it was fitted to. */
type LinearFit = { intercept: number; coefficients: Float64Array; residual: number };

/**
 * Ridge regression of `y` (n) on `x` (n x d, row-major); the intercept is not penalised. `ridge` is relative to the mean
 * variance of the columns. `weights` (n, not negative) count each row so often. Raises RangeError when the lengths do not
 * fit, SingularMatrixError when the columns are collinear and `ridge` is 0.
 */
export function leastSquares(
  x: Float64Array,
  y: ArrayLike<number>,
  d: number,
  { ridge = 0, weights }: { ridge?: number; weights?: ArrayLike<number> } = {},
): LinearFit {
  const n = y.length;
  if (x.length !== n * d) {
    throw new RangeError(`${n} rows of ${d} need ${n * d} values, got ${x.length}`);
  }
  const mean = new Float64Array(d);
  let [total, meanY] = [0, 0];
  for (let i = 0; i < n; i++) {
    const weight = weights ? weights[i]! : 1;
    total += weight;
    meanY += weight * y[i]!;
    for (let j = 0; j < d; j++) {
      mean[j]! += weight * x[i * d + j]!;
    }
  }
  if (!(total > 0)) {
    throw new RangeError('least squares needs at least one row of positive weight');
  }
  meanY /= total;
  for (let j = 0; j < d; j++) {
    mean[j]! /= total;
  }
  const moment = zeros(d, d);
  const cross = new Float64Array(d);
  let squareY = 0;
  // Four rows at a time, so that the moment matrix is read and written a quarter as often.
  const centred = [0, 1, 2, 3].map(() => new Float64Array(d)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const [c0, c1, c2, c3] = centred;
  const scale = new Float64Array(4);
  for (let from = 0; from < n; from += 4) {
    for (let b = 0; b < 4; b++) {
      const i = from + b;
      const row = centred[b]!;
      scale[b] = i < n ? (weights ? weights[i]! : 1) : 0;
      if (scale[b] === 0) {
        row.fill(0);
        continue;
      }
      const dy = y[i]! - meanY;
      squareY += scale[b]! * dy * dy;
      for (let j = 0; j < d; j++) {
        row[j] = x[i * d + j]! - mean[j]!;
        cross[j]! += scale[b]! * row[j]! * dy;
      }
    }
    for (let j = 0; j < d; j++) {
      const s0 = scale[0]! * c0[j]!;
      const s1 = scale[1]! * c1[j]!;
      const s2 = scale[2]! * c2[j]!;
      const s3 = scale[3]! * c3[j]!;
      for (let k = 0; k <= j; k++) {
        moment.data[j * d + k]! += s0 * c0[k]! + s1 * c1[k]! + s2 * c2[k]! + s3 * c3[k]!;
      }
    }
  }
  for (let j = 0; j < d; j++) {
    for (let k = 0; k < j; k++) {
      moment.data[k * d + j] = moment.data[j * d + k]!;
    }
  }
  const coefficients = d === 0 ? new Float64Array(0) : solveRidge(moment, cross, ridge);
  let [intercept, explained, quadratic] = [meanY, 0, 0];
  for (let j = 0; j < d; j++) {
    intercept -= coefficients[j]! * mean[j]!;
    explained += coefficients[j]! * cross[j]!;
    for (let k = 0; k < d; k++) {
      quadratic += coefficients[j]! * moment.data[j * d + k]! * coefficients[k]!;
    }
  }
  return { intercept, coefficients, residual: Math.max(0, squareY - 2 * explained + quadratic) / total };
}
