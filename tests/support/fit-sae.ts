/** Training one autoencoder on activations in memory, by a schedule. */
import type { SaeParameters } from '../../gpu-worker/sae/codes/parameters.ts';
import { rateAt, type SaeConfiguration, type Schedule } from '../../gpu-worker/sae/training/configuration.ts';
import { initialise } from '../../gpu-worker/sae/training/initialise.ts';
import { type MakeOptions, makeTrainer } from '../../gpu-worker/sae/training/make-trainer.ts';
import type { StepReport } from '../../gpu-worker/sae/training/trainer.ts';
import { stream } from '../../shared/math/random.ts';

export type FitOptions = MakeOptions & {
  schedule: Schedule;
  batch: number;
  seed: number;
  decoderBias?: ArrayLike<number>;
  /** Called after every step. */
  watch?: (step: number, report: StepReport) => void;
};

/** Trains on rows x inputs activations, in a new random order every epoch. */
export async function fit(
  configuration: SaeConfiguration,
  x: Float32Array,
  options: FitOptions,
): Promise<SaeParameters> {
  const { schedule, batch, seed, watch } = options;
  const { inputs } = configuration;
  const rows = x.length / inputs;
  const trainer = await makeTrainer(
    configuration,
    batch,
    initialise(configuration, seed, options.decoderBias),
    options,
  );
  const input = new Float32Array(batch * inputs);
  let order = new Uint32Array(0);
  let at = 0;
  try {
    for (let step = 0, epoch = 0; step < schedule.steps; step++) {
      for (let row = 0; row < batch; row++, at++) {
        if (at >= order.length) {
          order = stream(seed, `sae/order/${epoch++}`).permutation(rows) as Uint32Array<ArrayBuffer>;
          at = 0;
        }
        input.set(x.subarray(order[at]! * inputs, (order[at]! + 1) * inputs), row * inputs);
      }
      const [report] = await trainer.run(input, [rateAt(step, schedule)]);
      watch?.(step, report!);
    }
    return await trainer.parameters();
  } finally {
    await trainer.close();
  }
}
