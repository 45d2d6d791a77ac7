/** What every way of training an autoencoder offers; the dense program and the fast path are two. */
import type { SaeParameters } from '../codes/parameters.ts';
import type { SaeConfiguration } from './configuration.ts';

export type StepReport = {
  /** Mean over tokens of |x - x_hat|^2. */
  loss: number;
  /** Loss with penalties, prefixes and the auxiliary term, as minimised. */
  total: number;
  /** Mean over tokens of the number of codes other than 0. */
  l0: number;
  /** Latents that were dead when the step began. */
  dead: number;
};

/** Everything that a later step depends on: restoring it continues exactly. */
export type TrainerState = {
  steps: number;
  /** As they are learned: after the first step a threshold may be a logarithm (`SaeConfiguration.logThreshold`). */
  parameters: SaeParameters;
  /** First and second moments of Adam. */
  first: SaeParameters;
  second: SaeParameters;
  /** Tokens since each latent last fired. */
  tokensSinceFired: Float64Array;
  /** Running threshold of batch variants. */
  cut: number;
};

export interface Trainer {
  readonly configuration: SaeConfiguration;
  /**
   * As many steps as there are learning rates, each on an equal share of the rows of `x`. The dense program keeps the set
   * of dead latents for the whole call, the fast path renews it at every step.
   */
  run(x: Float32Array, rates: readonly number[]): Promise<StepReport[]>;
  /** Parameters as they are now, for inference (copies). */
  parameters(): Promise<SaeParameters>;
  state(): Promise<TrainerState>;
  close(): Promise<void>;
}

const zeroMoments = (p: SaeParameters): SaeParameters => ({
  ...p,
  encoder: new Float32Array(p.encoder.length),
  encoderBias: new Float32Array(p.encoderBias.length),
  decoder: new Float32Array(p.decoder.length),
  decoderBias: new Float32Array(p.decoderBias.length),
  threshold: p.threshold && new Float32Array(p.threshold.length),
});

/** The state before the first step. */
export const initialState = (parameters: SaeParameters): TrainerState => ({
  steps: 0,
  parameters,
  first: zeroMoments(parameters),
  second: zeroMoments(parameters),
  tokensSinceFired: new Float64Array(parameters.width),
  cut: 0,
});
