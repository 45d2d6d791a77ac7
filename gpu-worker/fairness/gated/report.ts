/** What a gated fit found, in the names of the job's contract. */
import type { GuardDecision } from '../../../shared/fairness/gated/guard.ts';
import type { ResultOf } from '../../../shared/jobs/contract.ts';
import type contract from '../../../shared/jobs/fairness.fit_gated.ts';
import type { ComparedMethod } from './comparison.ts';

type Result = ResultOf<typeof contract>;

/** `untold` says why there are no demographic figures where there are none. */
export const methodReport = (
  { method, needsDemographics, accuracy, areaUnderCurve, demographics }: ComparedMethod,
  untold: string,
): Result['methods'][number] => ({
  method,
  needs_demographics: needsDemographics,
  accuracy,
  auc: Number.isFinite(areaUnderCurve) ? areaUnderCurve : null,
  worst_demographic_gap: demographics?.worstGap ?? null,
  worst_group_accuracy: demographics?.worstAccuracy ?? null,
  disparity: demographics?.disparity ?? null,
  reason: demographics ? null : untold,
});

/** A group without guard rows has no errors to report. */
export const guardReport = ({ worstP, own, pooled, ...decision }: GuardDecision): Result['guard'][number] => ({
  ...decision,
  own: decision.count ? own : null,
  pooled: decision.count ? pooled : null,
  worst_p: worstP,
});
