/** The refusal direction of the base model at work: plain, ablated and induced, over test prompts. */
import type { Behaviour } from '../../../shared/contracts/refusal.ts';
import type { LanguageModel } from '../../lm/index.ts';
import { unitVector } from '../difference-in-means.ts';
import { dot } from '../vectors.ts';
import { type BehaviourOptions, behaviourOf } from './behaviour.ts';
import type { Found } from './find.ts';
import { ablation, addition } from './interventions.ts';
import type { RefusalSets } from './prompts.ts';

type Removal = 'linear' | 'affine';
type BaseStudy = { base: Behaviour; ablated: Behaviour; induced: Behaviour };

/** What removal of the chosen direction takes: its unit vector, and the projection that affine removal leaves. */
export function removalOf({ chosen }: Pick<Found, 'chosen'>, removal: Removal): { unit: Float32Array; mean: number } {
  const unit = unitVector(chosen.vector);
  return { unit, mean: removal === 'affine' ? dot(unit, chosen.harmless) : 0 };
}

export async function studyBase(
  model: LanguageModel,
  found: Found,
  sets: RefusalSets,
  removal: Removal,
  options: BehaviourOptions,
): Promise<BaseStudy> {
  const test = { harmful: sets.harmful.test, harmless: sets.harmless.test };
  const inducing = found.selection.highestInduce!;
  return {
    base: await behaviourOf(model, test, options),
    ablated: await behaviourOf(model, test, options, ablation(model.architecture.layers, removalOf(found, removal))),
    induced: await behaviourOf(model, test, options, addition(inducing.layer, Float32Array.from(inducing.vector))),
  };
}
