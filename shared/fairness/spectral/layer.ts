/**
 * Fair regression by reshaping the singular values of a layer z = W x + b (arXiv:2504.03093). Both steps of the method
 * are one symmetric matrix P = I + U diag(r - 1) U^T on the layer's pre-activation: W~ = P W, where U are eigenvectors of
 * the moment difference seen at the layer's output. Moments of several groups are taken over all pairs.
 */
import { symmetricEigen } from '../../math/decompositions.ts';
import {
  add,
  apply,
  congruence,
  identity,
  type Matrix,
  multiply,
  multiplyTransposed,
  outer,
  zeros,
} from '../../math/matrix.ts';
import { dataError } from '../data-error.ts';
import { type GroupMoments, pairDifferences, pooledGram } from '../moments.ts';
import { type BudgetKind, type BudgetSolution, solveBudget } from './budget.ts';

/** The ridge that makes d_mu d_mu^T + eps I invertible in the released method. */
export const MEAN_RIDGE = 1e-5;
/** Eigenvalues below this share of the largest are left alone: no direction is defined there. */
const NEGLIGIBLE = 1e-12;

/**
 * Directions of one step at the layer's output: `vectors` (m x r, columns), `squares` the squared singular values (r),
 * `costs` the distortion weights u_i^T (W M W^T) u_i (r). Enough to change the budgets without the data.
 */
export type Spectrum = { kind: BudgetKind; vectors: Matrix; squares: Float64Array; costs: Float64Array };

/** Products of weights and moments that are finite themselves can still overflow. */
function requireProducts({ data }: Matrix): void {
  if (!data.every(Number.isFinite)) {
    throw dataError(
      'value_out_of_range',
      '/weights',
      'the products of weights and moments are beyond double precision',
    );
  }
}
const eigenOf = (m: Matrix): ReturnType<typeof symmetricEigen> => {
  requireProducts(m);
  return symmetricEigen(m);
};

function spectrumOf(kind: BudgetKind, difference: Matrix, gram: Matrix): Spectrum {
  requireProducts(gram);
  const { values, vectors } = eigenOf(difference);
  // In pre-activation space eigenvalues of both signs count by their size; elsewhere the matrix has none below zero.
  const kept = Array.from(values, (value, i) => ({ size: Math.abs(value), i }))
    .sort((a, b) => b.size - a.size)
    .filter(({ size }, _, all) => size > NEGLIGIBLE * all[0]!.size);
  const m = difference.rows;
  const columns = zeros(m, kept.length);
  for (let row = 0; row < m; row++) {
    kept.forEach(({ i }, j) => {
      columns.data[row * kept.length + j] = vectors.data[row * m + i]!;
    });
  }
  const carried = multiply(gram, columns);
  const costs = new Float64Array(kept.length);
  for (let row = 0; row < m; row++) {
    for (let j = 0; j < kept.length; j++) {
      costs[j]! += columns.data[row * kept.length + j]! * carried.data[row * kept.length + j]!;
    }
  }
  return {
    kind,
    vectors: columns,
    squares: Float64Array.from(kept, ({ size }) => size),
    costs: costs.map((g) => Math.max(0, g)),
  };
}

/** Directions of the mean step: eigenpairs of sum over pairs of (W d)(W d)^T + eps W W^T, for W (m x d). */
export function meanSpectrum(w: Matrix, groups: readonly GroupMoments[], ridge = MEAN_RIDGE): Spectrum {
  const { data } = multiplyTransposed(w, w);
  let difference: Matrix = { rows: w.rows, cols: w.rows, data: data.map((x) => x * ridge) };
  for (const d of pairDifferences(groups).means) {
    const moved = apply(w, d);
    difference = add(difference, outer(moved, moved));
  }
  return spectrumOf('mean', difference, congruence(w, pooledGram(groups)));
}

/** |D| of a symmetric matrix: its eigenvalues by their size. */
export function absolute(d: Matrix): Matrix {
  const { values, vectors } = eigenOf(d);
  const scaled = { ...vectors, data: vectors.data.map((x, i) => x * Math.abs(values[i % d.cols]!)) };
  return multiplyTransposed(scaled, vectors);
}

/** Directions of the covariance step: eigenpairs of W (sum over pairs of |C_a - C_b|) W^T. */
export function covarianceSpectrum(w: Matrix, groups: readonly GroupMoments[]): Spectrum {
  const d = w.cols;
  const difference = pairDifferences(groups).covariances.reduce((sum, c) => add(sum, absolute(c)), zeros(d, d));
  return spectrumOf('covariance', congruence(w, difference), congruence(w, pooledGram(groups)));
}

/**
 * The covariance step taken in pre-activation space: eigenpairs of W D W^T itself, so that the sum of fourth powers is
 * exactly ||W D W^T||_F^2. Of several groups, the root of the summed squares over pairs takes the place of |W D W^T|.
 */
export function preActivationSpectrum(w: Matrix, groups: readonly GroupMoments[]): Spectrum {
  const gram = congruence(w, pooledGram(groups));
  const differences = pairDifferences(groups).covariances.map((c) => congruence(w, c));
  if (differences.length === 1) {
    return spectrumOf('covariance', differences[0]!, gram);
  }
  const summed = differences.reduce((sum, c) => add(sum, multiply(c, c)), zeros(w.rows, w.rows));
  const { values, vectors } = eigenOf(summed);
  const roots = { ...vectors, data: vectors.data.map((x, i) => x * Math.sqrt(Math.max(0, values[i % w.rows]!))) };
  return spectrumOf('covariance', multiplyTransposed(roots, vectors), gram);
}

/** P = I + U diag(r - 1) U^T (m x m); directions outside U are untouched. */
export function stepMatrix({ vectors }: Spectrum, factors: ArrayLike<number>): Matrix {
  const scaled = { ...vectors, data: vectors.data.map((x, i) => x * (factors[i % vectors.cols]! - 1)) };
  return add(identity(vectors.rows), multiplyTransposed(scaled, vectors));
}

export type LayerStep = { spectrum: Spectrum; solution: BudgetSolution };
export type LayerCorrection = {
  /** The edited matrix (m x d). */
  weights: Matrix;
  /** The product of the steps' P: `weights` = `multiplier` W. */
  multiplier: Matrix;
  steps: LayerStep[];
};
export type LayerOptions = {
  /** Factor by which the squared mean gap's budget shrinks; 1 leaves means alone. */
  c1: number;
  /** Factor by which the squared covariance gap's budget shrinks; 1 leaves covariances alone. */
  c2: number;
  ridge?: number;
  /** Where the covariance step takes its directions: at the layer's input (the paper) or its output (sharper). */
  covarianceAt?: 'input' | 'pre_activation';
  order?: readonly BudgetKind[];
};

/**
 * Both steps on W (m x d), by default covariance first and mean last, as the mean budget is met by the last step exactly.
 * Raises `data_invalid` (budget_invalid) for a budget below 1.
 */
export function correctLayer(w: Matrix, groups: readonly GroupMoments[], options: LayerOptions): LayerCorrection {
  const { c1, c2, ridge = MEAN_RIDGE, covarianceAt = 'input', order = ['covariance', 'mean'] } = options;
  let weights = w;
  let multiplier = identity(w.rows);
  const steps: LayerStep[] = [];
  for (const kind of order) {
    const ratio = kind === 'mean' ? c1 : c2;
    if (ratio === 1) {
      continue;
    }
    const spectrum =
      kind === 'mean'
        ? meanSpectrum(weights, groups, ridge)
        : covarianceAt === 'input'
          ? covarianceSpectrum(weights, groups)
          : preActivationSpectrum(weights, groups);
    const solution = solveBudget(kind, spectrum.squares, spectrum.costs, ratio);
    const p = stepMatrix(spectrum, solution.factors);
    weights = multiply(p, weights);
    multiplier = multiply(p, multiplier);
    steps.push({ spectrum, solution });
  }
  return { weights, multiplier, steps };
}
