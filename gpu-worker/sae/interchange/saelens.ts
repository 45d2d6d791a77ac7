/**
 * The SAELens folder: `cfg.json` and `sae_weights.safetensors` (W_enc [d_in, d_sae], b_enc, W_dec [d_sae, d_in], b_dec,
 * threshold). Weights are written for activations as the model gives them: the input scaling of training is folded in.
 * What SAELens opens gives our reconstruction there; what it cannot compute has an architecture that it refuses.
 */
import { floatTensor, writeSafetensors } from '../../../shared/formats/safetensors.ts';
import type { SaeVariant } from '../../../shared/models/sae-variants.ts';
import type { SaeParameters } from '../codes/parameters.ts';
import { VARIANTS } from '../codes/variants.ts';
import type { TrainedSae } from '../measures/evaluate.ts';

export const CONFIG_FILE = 'cfg.json';
/** SAELens' name for codes by matching pursuit, whose folder holds one matrix. */
export const MATCHING_PURSUIT = 'matching_pursuit';
export const WEIGHTS_FILE = 'sae_weights.safetensors';

/**
 * The version of SAELens' config that is written. SAELens takes a config without one for an older form, whose metadata it
 * looks for elsewhere, and forgets model and hook.
 */
const FORMAT_VERSION = '6.0.0';

/** Where an autoencoder belongs; goes into `metadata`. */
type SaeOrigin = {
  model_name: string | null;
  hook_name: string | null;
  /** Factor on activations that training used, for information: it is folded into the weights. */
  input_scale: number;
};

/**
 * The same function on unscaled activations: encoder times `scale`, decoder and its bias divided by it; codes, encoder
 * bias and thresholds stay as they are.
 */
export function foldScale(p: SaeParameters, scale: number): SaeParameters {
  return {
    ...p,
    encoder: p.encoder.map((value) => value * scale),
    decoder: p.decoder.map((value) => value / scale),
    decoderBias: p.decoderBias.map((value) => value / scale),
  };
}

/** Whether a code equal to the threshold is kept: it was one of the batch's largest. SAELens keeps what is above. */
export const keepsEqual = (variant: SaeVariant): boolean => VARIANTS[variant].selection === 'batch';

/** A threshold is positive, or 0 where nothing is to be cut. */
const neighbour = (value: number, step: 1 | -1): number => {
  if (!(value > 0)) {
    return value;
  }
  const bits = new Uint32Array(Float32Array.of(value).buffer);
  bits[0]! += step;
  return new Float32Array(bits.buffer)[0]!;
};
/** The largest float32 below a threshold, so that `u > nextBelow(t)` means `u >= t`; 0 stays. */
export const nextBelow = (threshold: number): number => neighbour(threshold, -1);
/** Undoes `nextBelow`. */
export const nextAbove = (threshold: number): number => neighbour(threshold, 1);

export function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      out[j * rows + i] = values[i * columns + j]!;
    }
  }
  return out;
}

/** The two files of the folder. */
export function saelensFolder(sae: TrainedSae, origin: SaeOrigin): { config: Uint8Array; weights: Uint8Array } {
  const { parameters: p, pursuit, iterations = 1, iterationStep = 1 } = sae;
  const { inputs, width } = p;
  // SAELens encodes in one step, so that several must not go by the name of one.
  const oneStep = sae.code ?? VARIANTS[sae.variant].saelens;
  const architecture = pursuit ? MATCHING_PURSUIT : `${iterations > 1 ? 'unrolled_' : ''}${oneStep}`;
  const threshold = p.threshold && (keepsEqual(sae.variant) ? p.threshold.map(nextBelow) : p.threshold);
  const config = {
    architecture,
    d_in: inputs,
    d_sae: width,
    dtype: 'float32',
    device: 'cpu',
    apply_b_dec_to_input: sae.subtractBias,
    normalize_activations:
      sae.normalisation === 'constant_norm' ? 'constant_norm_rescale' : (sae.normalisation ?? 'none'),
    reshape_activations: 'none',
    ...(VARIANTS[sae.variant].selection === 'token' && { k: sae.k, rescale_acts_by_decoder_norm: false }),
    ...(pursuit && {
      residual_threshold: pursuit.residualThreshold,
      max_iterations: pursuit.maxIterations,
      stop_on_duplicate_support: pursuit.stopOnDuplicateSupport,
    }),
    metadata: {
      model_name: origin.model_name,
      hook_name: origin.hook_name,
      sae_lens_version: FORMAT_VERSION,
      sae_lens_training_version: null,
      sextant: {
        variant: sae.variant,
        k: sae.k,
        ...(sae.code && { code: sae.code }),
        iterations,
        iteration_step: iterationStep,
        input_scale: origin.input_scale,
        threshold: 'kept_above',
      },
    },
  };
  const tensors = [
    ...(pursuit
      ? []
      : [
          floatTensor('W_enc', [inputs, width], transpose(p.encoder, width, inputs)),
          floatTensor('b_enc', [width], p.encoderBias),
        ]),
    floatTensor('W_dec', [width, inputs], p.decoder),
    floatTensor('b_dec', [inputs], p.decoderBias),
    ...(threshold ? [floatTensor('threshold', [width], threshold)] : []),
  ];
  return {
    config: new TextEncoder().encode(`${JSON.stringify(config, null, 2)}\n`),
    weights: writeSafetensors(tensors, { format: 'pt' }),
  };
}
