/**
 * How an autoencoder is trained: settings and their defaults, each with its source. [DL] is dictionary_learning (Marks,
 * Karvonen & Mueller), [GS] Gemma Scope (Lieberum et al. 2024), [OA] Gao et al. 2024 ("Scaling and evaluating sparse
 * autoencoders"), [AT] AbsTopK (Zhu, Khalili & Zhu, arXiv:2510.00404).
 */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { SaeVariant } from '../../../shared/models/sae-variants.ts';
import { VARIANTS } from '../codes/variants.ts';

export type SaeConfiguration = {
  variant: SaeVariant;
  /** Width of the activations. */
  inputs: number;
  /** Number of latents. */
  width: number;
  /** Codes per token; read by the top-k family only. */
  k: number;
  /** Coefficient of the penalty (L1 or L0); read by the others. */
  sparsity: number;
  /** Encode x - b instead of x. */
  subtractBias: boolean;
  /**
   * Norm of the encoder's rows at the start. Measured on planted axes: with rows of norm 1, latents beyond the number of
   * axes share axes for good; with norm 0.1 they stay dead instead, and where no latent is to spare some stay dead too.
   */
  encoderScale: number;
  /** Keep decoder rows at norm 1, with gradients projected along the sphere. */
  unitRows: boolean;
  beta1: number;
  beta2: number;
  epsilon: number;
  /** Largest norm of the whole gradient; null: no clipping. */
  clipNorm: number | null;
  auxiliaryWeight: number;
  /** Dead latents that explain the error of the living ones, per token. */
  auxiliaryLatents: number;
  /** Tokens without a code other than 0 after which a latent is dead; the set is fixed at the beginning of a step. */
  deadTokens: number;
  /** Width of the rectangle that stands for the derivative of a step. */
  bandwidth: number;
  /** Learn log theta instead of theta, which is kept from falling below 0. */
  logThreshold: boolean;
  /** Initial threshold of the variants that learn one. */
  threshold: number;
  /** Numbers of first latents that must each reconstruct on their own, besides all of them (Bussmann et al. 2025). */
  matryoshkaPrefixes: readonly number[];
  /** Proximal-gradient steps of the encoder; 1 is the usual autoencoder. */
  iterations: number;
  /** Step size of the iterations after the first. */
  iterationStep: number;
};

export type SaeConfigurationOptions = Pick<SaeConfiguration, 'variant' | 'inputs' | 'width'> &
  Partial<SaeConfiguration>;

/** Completes a configuration. Raises SextantError `validation_failed` for sizes that cannot work. */
export function saeConfiguration(options: SaeConfigurationOptions): SaeConfiguration {
  const complete: SaeConfiguration = {
    k: Math.max(1, Math.round(options.inputs / 10)), // [AT]: about a tenth of the width of the activations
    sparsity: 0.004, // [AT], code of the authors, on the mean L0
    subtractBias: true, // [DL], [OA]
    encoderScale: 0.3, // between SAELens' 0.1 and [DL]'s 1, see above
    unitRows: true, // [DL], [OA]; magnitudes are then comparable across latents
    beta1: 0.9,
    beta2: 0.999, // [DL]
    epsilon: 1e-8, // [DL]
    clipNorm: 1, // [DL]
    auxiliaryWeight: 1 / 32, // [OA], [DL], and eq. (7) of [AT]
    auxiliaryLatents: Math.max(1, Math.floor(options.inputs / 2)), // [OA], [DL]
    deadTokens: 10_000_000, // [OA], [DL]
    bandwidth: 0.001, // [GS], [AT]
    // [GS] learns logarithms; a step of Adam moves those by the rate, so that thresholds hardly leave where they begin.
    logThreshold: false,
    threshold: 0.001, // [GS]
    matryoshkaPrefixes: [],
    iterations: 1,
    iterationStep: 1,
    ...options,
  };
  const variant = VARIANTS[complete.variant];
  if (!variant) {
    throw invalid(`there is no variant '${complete.variant}'; variants: ${Object.keys(VARIANTS).join(', ')}`);
  }
  if (variant.takes === 'k' && (complete.k < 1 || complete.k > complete.width)) {
    throw invalid(`k = ${complete.k} must lie between 1 and the width ${complete.width}`);
  }
  if (complete.iterations > 1 && !complete.subtractBias) {
    throw invalid('several encoder steps work on x - b - D z: the decoder bias must be subtracted from the input');
  }
  if (complete.matryoshkaPrefixes.some((prefix) => prefix < 1 || prefix > complete.width)) {
    throw invalid(`Matryoshka prefixes must lie between 1 and the width ${complete.width}`);
  }
  return complete;
}

const invalid = (detail: string): SextantError => new SextantError('validation_failed', detail);

export type Schedule = { rate: number; steps: number; warmupSteps: number; decayFraction: number };

/** Learning rate of step t (from 0): linear warm-up, constant, linear decay to 0 over the last part [DL]. */
export function rateAt(step: number, { rate, steps, warmupSteps, decayFraction }: Schedule): number {
  const warm = warmupSteps > 0 ? Math.min(1, (step + 1) / warmupSteps) : 1;
  const decaying = decayFraction * steps;
  const cool = decaying > 0 ? Math.min(1, (steps - step) / decaying) : 1;
  return rate * Math.min(warm, cool);
}

/**
 * 2e-4 / sqrt(width / 2^14) [DL], the default for long runs; at most 4e-3, at which runs of some thousand steps on small
 * widths converge.
 */
export const defaultRate = (width: number): number => Math.min(4e-3, 2e-4 / Math.sqrt(width / 2 ** 14));
