/** The field's names for what the contract of `lm.evaluate` names in another way. */
import type { ParamsOf, ResultOf } from '../../shared/jobs/contract.ts';
import type evaluation from '../../shared/jobs/lm.evaluate.ts';
import type { SteeredMeasures } from './steered-evaluation.ts';

/** @param targets of the params, in the order in which they were measured */
export const statedRun = (
  label: string,
  targets: ParamsOf<typeof evaluation>['targets'],
  { probabilities, logitDifference, referenceKl, ...same }: SteeredMeasures,
): ResultOf<typeof evaluation>['runs'][number] => ({
  label,
  ...same,
  targets: Object.fromEntries(targets.map((target, t) => [target.label, probabilities?.[t] ?? 0])),
  logit_difference: logitDifference,
  reference_kl: referenceKl,
});
