/**
 * Least-squares fit of the free part of a quadratic score: with p1 fixed by eta and rho, the rest of
 * Y^ = p1 q + p2 s + p3 + h . U is linear, q = sum_b E[Yc_b^2], s = sum_b E[Yc_b]. The second moments of (1, s, U, q, y)
 * are enough to refit for any eta and rho without the rows.
 */
import { SingularMatrixError, solveRidge } from '../../math/cholesky.ts';
import { type Matrix, matrix, zeros } from '../../math/matrix.ts';
import { dataError } from '../data-error.ts';
import type { CompiledLookahead, LookaheadPredictor } from './compiled.ts';
import { compileLookahead, predictLookahead } from './predictor.ts';
import { abduct } from './scm.ts';

/**
 * `second` is the mean of v v^T over the rows for v = (1, s, U of `free` in that order, q, y): (free + 4) squared. It is a
 * function of the structural model and the rows, not of eta or rho.
 */
type LookaheadMoments = { count: number; free: readonly string[]; second: Matrix };

/** Names of the variables whose U may enter h: observed, with a scale, and identified. */
export const freeVariables = ({ scm, predictor }: CompiledLookahead): string[] =>
  scm.order.filter((v, j) => v.scale !== 0 && (predictor.statusObserved || j !== scm.status)).map((v) => v.name);

/** Moments over rows (n x inputs) with attribute numbers `group ids` and observed status `y`; `names` are the terms of h. */
export function lookaheadMoments(
  compiled: CompiledLookahead,
  rows: Float64Array,
  groupIds: ArrayLike<number>,
  y: ArrayLike<number>,
  names: readonly string[] = freeVariables(compiled),
): LookaheadMoments {
  const n = y.length;
  const d = compiled.inputs.length;
  const size = names.length + 4;
  // s and q are themselves scores: with (p1, p2) = (0, 1) and (1, 0) and nothing else.
  const bare = {
    ...compiled,
    freeBase: compiled.freeBase.map(() => 0),
    freeWeights: compiled.freeWeights.map(() => 0),
  };
  const part = (p1: number, p2: number): Float64Array => {
    const out = new Float64Array(n);
    predictLookahead({ ...bare, p1, predictor: { ...compiled.predictor, p2, p3: 0 } }, rows, groupIds, out);
    return out;
  };
  const [linear, square] = [part(0, 1), part(1, 0)];
  const { order, index } = compiled.scm;
  const [x, u, v] = [new Float64Array(order.length), new Float64Array(order.length), new Float64Array(size)];
  const column = compiled.inputs.map((name) => index.get(name)!);
  const picked = names.map((name) => index.get(name)!);
  const second = zeros(size, size);
  for (let i = 0; i < n; i++) {
    x.fill(Number.NaN);
    for (let j = 0; j < d; j++) {
      const given = rows[i * d + j]!;
      // The model's own variable is the index, rows hold the status.
      x[column[j]!] = j === compiled.statusColumn ? compiled.shape.status.inverse(given) : given;
    }
    abduct(compiled.scm, x, groupIds[i]!, compiled.predictor.noise.mean, u);
    v[0] = 1;
    v[1] = linear[i]!;
    picked.forEach((j, at) => {
      v[at + 2] = u[j]!;
    });
    v[size - 2] = square[i]!;
    v[size - 1] = y[i]!;
    for (let j = 0; j < size; j++) {
      for (let k = 0; k <= j; k++) {
        second.data[j * size + k]! += (v[j]! * v[k]!) / n;
      }
    }
  }
  for (let j = 0; j < size; j++) {
    for (let k = 0; k < j; k++) {
      second.data[k * size + j] = second.data[j * size + k]!;
    }
  }
  return { count: n, free: names, second };
}

/** `error` is the mean squared error of the refitted score on the rows behind the moments. */
type LookaheadRefit = {
  predictor: LookaheadPredictor;
  error: number;
  constant: number;
  p1: number;
  /** Null where the gap factor differs between people. */
  factor: number | null;
};

/** Refuses terms that h cannot have and a matrix that is no mean of v v^T with v = (1, ...). */
function requireMoments({ free, second }: LookaheadMoments, allowed: readonly string[]): void {
  free.forEach((name, k) => {
    if (!allowed.includes(name) || free.indexOf(name) !== k) {
      throw dataError(
        'weights_misfit',
        `/moments/free/${k}`,
        `${name} is no term of h or is there twice; those of this model are: ${allowed.slice(0, 20).join(', ')}`,
      );
    }
  });
  const { data, rows } = second;
  if (Math.abs(data[0]! - 1) > 1e-6) {
    throw dataError('weights_misfit', '/moments/second/0/0', `the mean of 1 is 1, got ${data[0]}`);
  }
  for (let j = 0; j < rows; j++) {
    for (let k = 0; k < j; k++) {
      const [a, b] = [data[j * rows + k]!, data[k * rows + j]!];
      if (Math.abs(a - b) > 1e-6 * Math.max(Math.abs(a), Math.abs(b))) {
        throw dataError('weights_misfit', `/moments/second/${j}/${k}`, `moments are symmetric: ${a} is not ${b}`);
      }
    }
  }
}

/**
 * The best p2, p3 and h for the given eta and rho. Where the columns are collinear (the mean counterfactual status is
 * itself affine in U) a small relative ridge picks one of the equal solutions. Raises `data_invalid` for moments that do
 * not fit the model, hold values that are not finite or are not positive semidefinite.
 */
export function refitLookahead(
  predictor: LookaheadPredictor,
  moments: LookaheadMoments,
  { eta = predictor.eta, rho = predictor.rho, ridge = 1e-10 }: { eta?: number; rho?: number; ridge?: number } = {},
): LookaheadRefit {
  const compiled = compileLookahead({ ...predictor, eta, rho, p2: 0, p3: 0, free: {} });
  const size = moments.free.length + 4;
  const { data } = moments.second;
  if (moments.second.rows !== size || moments.second.cols !== size) {
    throw dataError(
      'weights_misfit',
      '/moments/second',
      `${moments.free.length} free terms need ${size} x ${size} moments`,
    );
  }
  if (!data.every(Number.isFinite)) {
    throw dataError('value_not_finite', '/moments/second', 'moments must be finite');
  }
  requireMoments(moments, freeVariables(compiled));
  const { p1 } = compiled;
  const width = size - 2;
  const [q, y] = [size - 2, size - 1];
  const entry = (j: number, k: number): number => data[j * size + k]!;
  // Centred at the means, so that the ridge never pulls at the intercept.
  const system = matrix(
    width - 1,
    width - 1,
    Array.from({ length: (width - 1) ** 2 }, (_, at) => {
      const [j, k] = [Math.floor(at / (width - 1)) + 1, (at % (width - 1)) + 1];
      return entry(j, k) - entry(j, 0) * entry(k, 0);
    }),
  );
  const goal = (j: number): number => entry(j, y) - p1 * entry(j, q);
  const right = Float64Array.from({ length: width - 1 }, (_, j) => goal(j + 1) - entry(j + 1, 0) * goal(0));
  let solved: Float64Array;
  try {
    solved = solveRidge(system, right, ridge);
  } catch (error) {
    if (!(error instanceof SingularMatrixError)) {
      throw error;
    }
    throw dataError(
      'matrix_singular',
      '/moments/second',
      'the moments are singular: fewer free terms or a ridge would help',
    );
  }
  const intercept = goal(0) - solved.reduce((sum, c, j) => sum + c * entry(j + 1, 0), 0);
  const beta = [intercept, ...solved];
  let error = entry(y, y) - 2 * p1 * entry(q, y) + p1 * p1 * entry(q, q);
  beta.forEach((b, j) => {
    error -= 2 * b * goal(j);
    beta.forEach((c, k) => {
      error += b * c * entry(j, k);
    });
  });
  const free = Object.fromEntries(moments.free.map((name, j) => [name, beta[j + 2]!]));
  const fitted = { ...predictor, eta, rho, p2: beta[1]!, p3: beta[0]!, free };
  return { predictor: fitted, error: Math.max(0, error), constant: compiled.constant, p1, factor: compiled.factor };
}
