/** Lookahead predictors where the attribute scales the features, on given coefficients (arXiv:2412.01065, theorem 5.4). */

import type { MultiplicativeDocument } from '../../../shared/fairness/lookahead/document.ts';
import type { FitModelOf } from '../../../shared/fairness/lookahead/fit.ts';
import { multiplicativeOf } from '../../../shared/fairness/lookahead/fit-check.ts';
import {
  type CompiledMultiplicative,
  compileMultiplicative,
  type MultiplicativePredictor,
  predictMultiplicative,
} from '../../../shared/fairness/lookahead/multiplicative.ts';
import { leastSquares } from '../../../shared/math/least-squares.ts';
import {
  type Baseline,
  type FitParams,
  type FitPoint,
  type Fitted,
  meanSquare,
  measured,
  type OnProgress,
  type People,
  type PreparedRows,
  peopleOf,
  settingsOf,
} from './fitted.ts';

/** Scores with other coefficients than the predictor's own. */
function scoresWith(
  compiled: CompiledMultiplicative,
  { x, groupIds, y }: People,
  { p1, ...part }: { p1: number; p2: number; free: number },
): Float64Array {
  const scores = new Float64Array(y.length);
  predictMultiplicative({ ...compiled, p1, predictor: { ...compiled.predictor, p3: 0, ...part } }, x, groupIds, scores);
  return scores;
}

/** p2, p3 and the coefficient of U_Y by least squares of what p1 leaves of the status. */
function refit(predictor: MultiplicativePredictor, people: People): MultiplicativePredictor {
  const compiled = compileMultiplicative(predictor);
  const n = people.y.length;
  const own = scoresWith(compiled, people, { p1: compiled.p1, p2: 0, free: 0 });
  const columns = [scoresWith(compiled, people, { p1: 0, p2: 1, free: 0 })];
  const free = predictor.statusObserved && predictor.status.gamma !== 0;
  if (free) {
    columns.push(scoresWith(compiled, people, { p1: 0, p2: 0, free: 1 }));
  }
  const x = new Float64Array(n * columns.length);
  for (let i = 0; i < n; i++) {
    for (const [j, column] of columns.entries()) {
      x[i * columns.length + j] = column[i]!;
    }
  }
  const { intercept, coefficients } = leastSquares(
    x,
    people.y.map((y, i) => y - own[i]!),
    columns.length,
    { ridge: 1e-9 },
  );
  return { ...predictor, p2: coefficients[0]!, p3: intercept, free: free ? coefficients[1]! : 0 };
}

/**
 * Scores linear in X, and in U_X. With slopes v of X they move Y by eta a^2 sum w v alpha^2, with slopes k of U by
 * eta a sum w k alpha: by another amount in the other world, so that the gap does not stay.
 */
function baselinesOf(compiled: CompiledMultiplicative, trained: People, held: People): Baseline[] {
  const { values, features, eta } = compiled.predictor;
  const width = compiled.inputs.length;
  const known = features.flatMap(({ alpha }, j) => (alpha === 0 ? [] : [j]));
  const line = (
    method: string,
    kept: readonly number[],
    columnOf: (x: number, j: number, a: number) => number,
    shiftOf: (a: number, slopes: Float64Array) => number,
  ): Baseline => {
    const d = kept.length;
    const design = ({ x, groupIds }: People): Float64Array =>
      Float64Array.from({ length: groupIds.length * d }, (_, at) => {
        const [i, j] = [Math.floor(at / d), kept[at % d]!];
        return columnOf(x[i * width + j]!, j, values[groupIds[i]!]!);
      });
    const { intercept, coefficients } = leastSquares(design(trained), trained.y, d, { ridge: 1e-9 });
    const tested = design(held);
    const scores = held.y.map((_, i) => coefficients.reduce((sum, c, j) => sum + c * tested[i * d + j]!, intercept));
    let [present, future] = [0, 0];
    for (let i = 0; i < held.y.length; i++) {
      const [a, other] = [values[held.groupIds[i]!]!, values[1 - held.groupIds[i]!]!];
      let scaled = 0;
      for (let j = 0; j < features.length; j++) {
        scaled += features[j]!.weight * held.x[i * width + j]!;
      }
      const gap = scaled * (1 - other / a);
      present += Math.abs(gap) / held.y.length;
      future += Math.abs(gap + eta * (shiftOf(a, coefficients) - shiftOf(other, coefficients))) / held.y.length;
    }
    return { method, mse: meanSquare(scores, held.y), present_gap: present, future_gap: future };
  };
  const all = features.map((_, j) => j);
  return [
    line(
      'linear_in_features',
      all,
      (x) => x,
      (a, slopes) =>
        a * a * all.reduce((sum, j) => sum + features[j]!.weight * features[j]!.alpha ** 2 * slopes[j]!, 0),
    ),
    line(
      'counterfactually_fair',
      known,
      // Up to a constant, which the intercept takes, this is U.
      (x, j, a) => x / (a * features[j]!.alpha),
      (a, slopes) => a * known.reduce((sum, j, k) => sum + features[j]!.weight * features[j]!.alpha * slopes[k]!, 0),
    ),
  ];
}

export function fitMultiplicative(
  params: FitParams,
  model: FitModelOf<'multiplicative'>,
  prepared: PreparedRows,
  onProgress: OnProgress,
): Fitted {
  const base = multiplicativeOf(params, model);
  const compiled = compileMultiplicative(base);
  const [trained, held] = [prepared.train, prepared.test].map((rows) =>
    peopleOf(prepared, rows, compiled.inputs, params.status),
  ) as [People, People];
  const settings = settingsOf(params);
  let published: MultiplicativePredictor | undefined;
  const points = settings.map((setting, k): FitPoint => {
    const predictor = refit({ ...base, ...setting }, trained);
    published ??= predictor;
    const ready = compileMultiplicative(predictor);
    const point = measured(held.y, (scores, gaps) => predictMultiplicative(ready, held.x, held.groupIds, scores, gaps));
    onProgress((k + 1) / settings.length, 'fitting', {});
    return { ...setting, constant: ready.constant, p1: ready.p1, ...point };
  });
  const { statusObserved, ...rest } = published!;
  const document: MultiplicativeDocument = {
    ...rest,
    kind: 'lookahead_multiplicative',
    attribute: { name: params.attribute.column, labels: params.attribute.labels },
    values: [...base.values],
    features: [...rest.features],
    status_observed: statusObserved,
  };
  return {
    model: { ...model.multiplicative, values: [...base.values] },
    fit: {},
    baselines: baselinesOf(compiled, trained, held),
    points,
    moments: null,
    document,
  };
}
