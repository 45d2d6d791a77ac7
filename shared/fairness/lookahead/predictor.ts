/**
 * A deployable lookahead-fair predictor: a linear structural model, the reaction strength it was made for and the score
 *   Y^ = p1 sum_b E[s(Yc_b)] + p2 sum_b E[Yc_b] + p3 + h . U,      b over the other attribute values,
 * where s is a square unless the shape says otherwise and the expectation is over what is not observed of U. The index is
 * affine in the row, so a prediction costs O(d).
 */
import { jsonPointer } from '../../contracts/problem.ts';
import { dataError } from '../data-error.ts';
import type { CompiledLookahead, LookaheadPredictor } from './compiled.ts';
import { additiveConstant, quadraticCoefficient } from './constants.ts';
import type { LookaheadGapColumns } from './gaps.ts';
import { type CompiledScm, compileScm, statusOffset } from './scm.ts';
import { compileShape } from './shape.ts';
import { predictShaped } from './shaped-prediction.ts';

/** `pointers[k]` is where the document has name k. */
const requireVariables = (compiled: CompiledScm, names: readonly string[], pointers: readonly string[]): void => {
  names.forEach((name, k) => {
    if (!compiled.index.has(name)) {
      throw dataError('scm_invalid', pointers[k]!, `${name} is not a variable of the model`);
    }
  });
};

/** Checks and compiles. Raises `data_invalid` (scm_*, response_invalid, weights_misfit). */
export function compileLookahead(predictor: LookaheadPredictor): CompiledLookahead {
  const scm = compileScm(predictor.scm);
  const { order, index, status, slopes } = scm;
  const listed = predictor.path?.fair ?? [];
  const fair = new Set(listed);
  requireVariables(
    scm,
    listed,
    listed.map((_, k) => `/path/fair/${k}`),
  );
  const terms = Object.keys(predictor.free);
  requireVariables(
    scm,
    terms,
    terms.map((name) => jsonPointer(['free', name])),
  );
  const observed = predictor.statusObserved;
  order.forEach((v, j) => {
    if (!observed && j !== status && Object.hasOwn(v.parents, predictor.scm.status)) {
      throw dataError(
        'scm_invalid',
        '/status_observed',
        `${v.name} depends on the status, which rows would then have to hold`,
      );
    }
  });
  const own = order[status]!;
  if (!observed && Object.hasOwn(predictor.free, own.name) && predictor.free[own.name] !== 0) {
    throw dataError(
      'weights_misfit',
      jsonPointer(['free', own.name]),
      'h cannot read the noise of a status that is not observed',
    );
  }
  const frozen = Uint8Array.from(order, (v, j) =>
    Number((predictor.path?.frozen && fair.has(v.name)) || (!observed && j === status)),
  );
  const constant = additiveConstant(slopes, predictor.eta, frozen);
  const shape = compileShape(predictor.outer ?? { kind: 'quadratic' }, predictor.curve, predictor.lowest);
  if (!shape.plain && !observed && order[status]!.scale !== 0) {
    throw dataError(
      'response_invalid',
      '/status_observed',
      "only the square of an uncurved status is averaged over the status's own U: rows must carry the status, or its scale be 0",
    );
  }
  const p1 = (2 / shape.curvature) * quadraticCoefficient(constant, predictor.rho);
  const inputs = order.filter((_, j) => observed || j !== status).map((v) => v.name);
  const column = new Map(inputs.map((name, i) => [name, i]));
  const values = predictor.scm.values.length;

  const statusBase = new Float64Array(values);
  const statusWeights = new Float64Array(inputs.length);
  if (observed) {
    statusWeights[column.get(own.name)!] = 1;
  } else {
    for (const [parent, weight] of Object.entries(own.parents)) {
      statusWeights[column.get(parent)!]! += weight;
    }
    for (let a = 0; a < values; a++) {
      statusBase[a] = own.intercept + own.effects[a]! + own.scale * predictor.noise.mean;
    }
  }
  const shift = new Float64Array(values * values);
  for (let a = 0; a < values; a++) {
    for (let b = 0; b < values; b++) {
      shift[a * values + b] = statusOffset(scm, b, fair, a) - statusOffset(scm, a);
    }
  }
  const freeBase = new Float64Array(values);
  const freeWeights = new Float64Array(inputs.length);
  for (const [name, coefficient] of Object.entries(predictor.free)) {
    const v = order[index.get(name)!]!;
    if (coefficient === 0) {
      continue;
    }
    if (v.scale === 0) {
      throw dataError('weights_misfit', jsonPointer(['free', name]), `${name} has no exogenous variable of its own`);
    }
    const per = coefficient / v.scale;
    freeWeights[column.get(name)!]! += per;
    for (const [parent, weight] of Object.entries(v.parents)) {
      freeWeights[column.get(parent)!]! -= per * weight;
    }
    for (let a = 0; a < values; a++) {
      freeBase[a]! -= per * (v.intercept + v.effects[a]!);
    }
  }
  return {
    predictor,
    scm,
    inputs,
    constant,
    p1,
    shape,
    factor: shape.plain ? Math.abs(1 - predictor.rho) : null,
    frozen,
    statusColumn: column.get(own.name) ?? -1,
    drift:
      predictor.eta *
      Object.entries(predictor.free).reduce((sum, [name, coefficient]) => {
        const j = index.get(name)!;
        return frozen[j] ? sum : sum + slopes[j]! * coefficient;
      }, 0),
    statusBase,
    statusWeights,
    shift,
    freeBase,
    freeWeights,
    unknown: observed ? 0 : own.scale ** 2 * predictor.noise.variance,
  };
}

/**
 * Scores for `rows` (n x inputs, row-major) and attribute value numbers `group ids` (n), into `scores`; where given, `gaps` (n
 * each) receive each person's. No allocation per row.
 */
export function predictLookahead(
  compiled: CompiledLookahead,
  rows: Float64Array,
  groupIds: ArrayLike<number>,
  scores: Float64Array,
  gaps?: LookaheadGapColumns,
): void {
  const { p1, factor, statusBase, statusWeights, shift, freeBase, freeWeights, unknown } = compiled;
  const { p2, p3 } = compiled.predictor;
  if (factor === null) {
    predictShaped(compiled, rows, groupIds, scores, gaps);
    return;
  }
  const d = statusWeights.length;
  const values = statusBase.length;
  for (let i = 0; i < scores.length; i++) {
    const a = groupIds[i]!;
    let status = statusBase[a]!;
    let free = freeBase[a]!;
    for (let j = 0; j < d; j++) {
      const x = rows[i * d + j]!;
      status += statusWeights[j]! * x;
      free += freeWeights[j]! * x;
    }
    let [squares, sum, gap, change] = [0, 0, 0, 0];
    for (let b = 0; b < values; b++) {
      if (b === a) {
        continue;
      }
      const other = status + shift[a * values + b]!;
      squares += other * other + unknown;
      sum += other;
      gap += Math.abs(shift[a * values + b]!);
      // h and all worlds but these two are in both scores, and so is what is not known of the status.
      change += Math.abs(p1 * (status * status - other * other) + p2 * (status - other));
    }
    scores[i] = p1 * squares + p2 * sum + p3 + free;
    if (!gaps) {
      continue;
    }
    gaps.present[i] = gap / (values - 1);
    gaps.future[i] = (factor * gap) / (values - 1);
    if (gaps.score) {
      gaps.score[i] = change / (values - 1);
    }
  }
}
