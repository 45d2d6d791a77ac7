/** What can be said of an autoencoder on activations alone, without the model that they are of. */
import type { Encoder } from '../codes/encoder.ts';
import { measure, reconstruct, type TrainedSae } from './evaluate.ts';
import type { HeldOut } from './held-out.ts';
import type { SaeEvaluation } from './held-out-evaluation.ts';
import { metricIntervals } from './intervals.ts';

export async function evaluateRows(
  sae: TrainedSae,
  held: HeldOut,
  { encoder, seed }: { encoder: Encoder; seed: number },
): Promise<SaeEvaluation> {
  const { measures, codes, metrics } = await measure(sae, held.x, encoder);
  const intervals = metricIntervals(held, reconstruct(sae, codes), codes, sae.parameters.inputs, seed);
  return {
    measures,
    scores: [],
    loss: null,
    tasks: [],
    absorption: null,
    intervals,
    densities: metrics.densityHistogram(),
  };
}
