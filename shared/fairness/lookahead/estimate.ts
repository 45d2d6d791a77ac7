/** Estimates the coefficients of a linear structural model by one least-squares fit per variable. */
import { SingularMatrixError } from '../../math/cholesky.ts';
import { leastSquares } from '../../math/least-squares.ts';
import { dataError } from '../data-error.ts';
import { compileScm, type LinearScm, type ScmVariable } from './scm.ts';

/** What depends on what: `attribute` marks a direct edge from the attribute. */
type ScmShape = { name: string; parents: readonly string[]; attribute: boolean };
type ScmEstimate = { scm: LinearScm; rSquared: Record<string, number> };

/**
 * Fits every variable of `shape` on its parents and on indicators of the attribute's values (effects are relative to the
 * first value). The scale is the residual's standard deviation, so every U has mean 0 and variance 1. `columns[name]` holds
 * n values, `group ids[i]` the attribute value's number. Raises `data_invalid` (scm_cycle, matrix_singular, column_missing).
 */
export function estimateScm(
  shape: readonly ScmShape[],
  status: string,
  values: readonly number[],
  columns: Readonly<Record<string, ArrayLike<number>>>,
  groupIds: ArrayLike<number>,
  { ridge = 0 }: { ridge?: number } = {},
): ScmEstimate {
  const n = groupIds.length;
  const rSquared: Record<string, number> = {};
  const variables = shape.map((v, position): ScmVariable => {
    const own = columns[v.name];
    if (!own || own.length !== n) {
      throw dataError('column_missing', `/variables/${position}`, `no column ${v.name} with ${n} values`);
    }
    const levels = v.attribute ? values.length - 1 : 0;
    const d = v.parents.length + levels;
    const x = new Float64Array(n * d);
    v.parents.forEach((parent, j) => {
      const from = columns[parent];
      if (!from || from.length !== n) {
        throw dataError('column_missing', `/variables/${position}/parents/${j}`, `no column ${parent}`);
      }
      for (let i = 0; i < n; i++) {
        x[i * d + j] = from[i]!;
      }
    });
    if (levels) {
      for (let i = 0; i < n; i++) {
        if (groupIds[i]! > 0) {
          x[i * d + v.parents.length + groupIds[i]! - 1] = 1;
        }
      }
    }
    try {
      const fit = leastSquares(x, own, d, { ridge });
      let [mean, square] = [0, 0];
      for (let i = 0; i < n; i++) {
        mean += own[i]! / n;
      }
      for (let i = 0; i < n; i++) {
        square += (own[i]! - mean) ** 2 / n;
      }
      rSquared[v.name] = square > 0 ? 1 - fit.residual / square : 1;
      return {
        name: v.name,
        intercept: fit.intercept,
        parents: Object.fromEntries(v.parents.map((parent, j) => [parent, fit.coefficients[j]!])),
        effects: values.map((_, b) => (levels && b > 0 ? fit.coefficients[v.parents.length + b - 1]! : 0)),
        scale: Math.sqrt(fit.residual),
      };
    } catch (error) {
      if (!(error instanceof SingularMatrixError)) {
        throw error;
      }
      throw dataError('matrix_singular', `/variables/${position}/parents`, `the parents of ${v.name} are collinear`);
    }
  });
  const scm = { values, variables, status };
  compileScm(scm);
  return { scm, rSquared };
}
