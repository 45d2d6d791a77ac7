/** The field's names for what the contracts of its jobs name in another way. */
import type { ParamsOf } from '../../shared/jobs/contract.ts';
import type training from '../../shared/jobs/lm.train.ts';
import type { TrainOptions, TrainProgress } from './training/train.ts';

/** How the params of `lm.train` ask for a model to be trained. */
export const trainSettings = (
  params: ParamsOf<typeof training>,
): Pick<
  TrainOptions,
  'context' | 'batch' | 'steps' | 'learningRate' | 'finalRate' | 'warmUp' | 'weightDecay' | 'freeze' | 'seed'
> => ({
  context: params.context,
  batch: params.batch,
  steps: params.steps,
  learningRate: params.learning_rate,
  finalRate: params.final_rate,
  ...(params.warm_up !== null && { warmUp: params.warm_up }),
  weightDecay: params.weight_decay,
  freeze: params.freeze,
  seed: params.seed,
});

/** A training's progress, which takes nearly all of its job's time. */
export const statedTraining = ({ step, steps, loss, tokensPerSecond, secondsLeft }: TrainProgress) => ({
  fraction: (0.97 * step) / steps,
  stage: 'training',
  metrics: { loss, tokens_per_s: tokensPerSecond, seconds_left: secondsLeft },
});
