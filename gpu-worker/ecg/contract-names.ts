/** The field's names for what the contract of `ecg.train` names in another way. */
import type { ParamsOf, ResultOf } from '../../shared/jobs/contract.ts';
import type training from '../../shared/jobs/ecg.train.ts';
import { conditionsOf } from './denoise/context.ts';
import { readNetwork, standardNetwork } from './network/configuration.ts';
import type { Material, TrainingSettings, Validation } from './training/train.ts';

type Params = ParamsOf<typeof training>;
type StatedValidation = ResultOf<typeof training>['validations'][number];

/** How the params ask for a denoiser to be trained. */
export function trainSettings(params: Params): Omit<TrainingSettings, 'device' | 'threads'> {
  const { depth, kernels, embed, separate, steps, batch, seed, levels, mixing, consistency, patience, every } = params;
  const network = readNetwork(standardNetwork({ depth, kernels, embed, separate, conditions: conditionsOf(2) }));
  return { network, steps, batch, seed, levels, mixing, consistency, patience, every, rate: params.learning_rate };
}

/** A training's progress; `latest` is what validation said last. */
export const statedProgress = (
  { step, loss, secondsLeft }: { step: number; loss: number; secondsLeft: number },
  latest: Validation | null,
  steps: number,
) => ({
  fraction: (0.9 * step) / steps,
  stage: 'training',
  metrics: { loss, snr_in: latest?.snrIn ?? null, snr_out: latest?.snrOut ?? null, seconds_left: secondsLeft },
});

/** All validations, and the first of the best. */
export function statedValidations(found: readonly Validation[]): {
  validations: StatedValidation[];
  best: StatedValidation | null;
} {
  const validations = found.map(({ step, snrIn, snrOut }) => ({ step, snr_in: snrIn, snr_out: snrOut }));
  const best = validations.reduce<StatedValidation | null>(
    (top, one) => (top && top.snr_out >= one.snr_out ? top : one),
    null,
  );
  return { validations, best };
}

/** What a reader of the model should know of how it was made. */
export const modelCard = (
  params: Params,
  { train, validation, leak }: { train: Material; validation: Material; leak: string | null },
  { steps, best }: { steps: number; best: StatedValidation | null },
): Record<string, unknown> => ({
  not_a_medical_device: 'This model is not a medical device. Look at the recording as it came.',
  data:
    params.records.length > 0
      ? `${params.records.length} recordings`
      : 'a generator: five waves a beat, never seen a patient',
  split: {
    protocol: params.protocol,
    train: train.records.map(({ name }) => name),
    validation: validation.records.map(({ name }) => name),
  },
  leak,
  training: {
    steps,
    batch: params.batch,
    rate: params.learning_rate,
    levels_db: params.levels,
    consistency: params.consistency,
    seed: params.seed,
    validation: best,
  },
});
