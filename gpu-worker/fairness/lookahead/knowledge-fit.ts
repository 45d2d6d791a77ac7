/** Lookahead predictors on a latent variable whose model is given: the free part of the score is all there is to fit. */

import type { LatentDocument } from '../../../shared/fairness/lookahead/document.ts';
import type { FitModelOf } from '../../../shared/fairness/lookahead/fit.ts';
import { knowledgeDocument } from '../../../shared/fairness/lookahead/fit-check.ts';
import { compileLatent, type LatentPredictor } from '../../../shared/fairness/lookahead/latent.ts';
import {
  counterfactuallyFair,
  fitDeployed,
  latentPredictorOf,
  latentRows,
  measureDeployed,
} from './deployed-latent.ts';
import {
  type FitParams,
  type FitPoint,
  type Fitted,
  type OnProgress,
  type PreparedRows,
  settingsOf,
} from './fitted.ts';

/** Every eta and rho on one latent model: fitted to what a deployed score sees of training rows, measured on test rows. */
export function sweepDeployed(
  params: FitParams,
  unfitted: LatentDocument,
  prepared: PreparedRows,
  onProgress: OnProgress,
): Pick<Fitted, 'baselines' | 'points' | 'moments' | 'document'> {
  const base = latentPredictorOf(unfitted);
  const [trained, held] = [
    latentRows(prepared, prepared.train, unfitted),
    latentRows(prepared, prepared.test, unfitted),
  ];
  const settings = settingsOf(params);
  let published: LatentPredictor | undefined;
  const points = settings.map((setting, k): FitPoint => {
    const predictor = fitDeployed({ ...base, ...setting }, trained);
    published ??= predictor;
    onProgress((k + 1) / settings.length, 'fitting', {});
    const { constant, p1 } = compileLatent(predictor);
    return { ...setting, constant, p1, ...measureDeployed(predictor, held) };
  });
  const { p2, p3, free } = published!;
  return {
    baselines: [counterfactuallyFair(base, trained, held)],
    points,
    moments: null,
    document: { ...unfitted, p2, p3, free },
  };
}

export const fitKnowledge = (
  params: FitParams,
  model: FitModelOf<'knowledge'>,
  prepared: PreparedRows,
  onProgress: OnProgress,
): Fitted => ({
  ...sweepDeployed(params, knowledgeDocument(params, model), prepared, onProgress),
  model: { ...model.knowledge },
  fit: {},
});
