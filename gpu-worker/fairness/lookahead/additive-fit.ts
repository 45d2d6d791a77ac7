/** Lookahead predictors on additive models, estimated by least squares or given: linear, post-nonlinear, path-dependent. */

import { lookaheadOf } from '../../../shared/fairness/lookahead/compile.ts';
import type { LookaheadDocument, ScmDocument } from '../../../shared/fairness/lookahead/document.ts';
import { estimateScm } from '../../../shared/fairness/lookahead/estimate.ts';
import type { FitModelOf } from '../../../shared/fairness/lookahead/fit.ts';
import { additiveDocument, attributeValues } from '../../../shared/fairness/lookahead/fit-check.ts';
import { compileLookahead, predictLookahead } from '../../../shared/fairness/lookahead/predictor.ts';
import { lookaheadMoments, refitLookahead } from '../../../shared/fairness/lookahead/refit.ts';
import type { LinearScm } from '../../../shared/fairness/lookahead/scm.ts';
import { toRows } from '../../../shared/math/matrix.ts';
import { numbersOf, takeRows } from '../table-input.ts';
import { additiveBaselines } from './additive-baselines.ts';
import {
  type FitParams,
  type FitPoint,
  type Fitted,
  measured,
  type OnProgress,
  type PreparedRows,
  peopleOf,
  settingsOf,
} from './fitted.ts';

const documentOfScm = ({ values, status, variables }: LinearScm): ScmDocument => ({
  values: [...values],
  status,
  variables: variables.map((v) => ({ ...v, parents: { ...v.parents }, effects: [...v.effects] })),
});

/** Every coefficient by least squares on the training rows, and how much of each variable it explains. */
function estimated(
  params: FitParams,
  { estimate }: FitModelOf<'estimate'>,
  { table, groupIds, train }: PreparedRows,
): { scm: ScmDocument; fit: Record<string, number> } {
  const own = takeRows(table, train);
  const columns = Object.fromEntries(estimate.map(({ name }) => [name, numbersOf(own, name)]));
  const trained = Int32Array.from(train, (i) => groupIds[i]!);
  const { scm, rSquared } = estimateScm(estimate, params.status, attributeValues(params), columns, trained);
  return { scm: documentOfScm(scm), fit: rSquared };
}

/** Fits p2, p3 and h for every eta and rho from one set of moments, and measures each on the test rows. */
export function fitAdditive(
  params: FitParams,
  model: FitModelOf<'estimate'> | FitModelOf<'coefficients'>,
  prepared: PreparedRows,
  onProgress: OnProgress,
): Fitted {
  const { scm, fit } = 'estimate' in model ? estimated(params, model, prepared) : { scm: model.coefficients, fit: {} };
  const noise = { mean: 0, variance: 1 };
  const given: FitModelOf<'coefficients'> = 'estimate' in model ? { coefficients: scm, noise } : model;
  const unfitted = additiveDocument(params, given);
  const base = lookaheadOf(unfitted);
  const compiled = compileLookahead(base);
  const [trained, held] = [prepared.train, prepared.test].map((rows) =>
    peopleOf(prepared, rows, compiled.inputs, params.status),
  ) as [ReturnType<typeof peopleOf>, ReturnType<typeof peopleOf>];
  const moments = lookaheadMoments(compiled, trained.x, trained.groupIds, trained.y);
  const settings = settingsOf(params);
  let document: LookaheadDocument | undefined;
  const points = settings.map((setting, k): FitPoint => {
    const { predictor, constant, p1 } = refitLookahead(base, moments, setting);
    const { p2, p3, free } = predictor;
    document ??= { ...unfitted, ...setting, p2, p3, free: { ...free } };
    const point = measured(held.y, (scores, gaps) =>
      predictLookahead(compileLookahead(predictor), held.x, held.groupIds, scores, gaps),
    );
    onProgress((k + 1) / settings.length, 'fitting', {});
    return { ...setting, constant, p1, ...point };
  });
  return {
    model: scm,
    fit,
    baselines: additiveBaselines(compiled, trained, held),
    points,
    moments: { count: moments.count, free: moments.free, second: toRows(moments.second) },
    document: document!,
  };
}
