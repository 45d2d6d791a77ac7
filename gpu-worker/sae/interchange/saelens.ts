/**
 * The SAELens folder: `cfg.json` and `sae_weights.safetensors` (W_enc [d_in, d_sae], b_enc, W_dec [d_sae, d_in], b_dec,
 * threshold). Weights are written for activations as the model gives them: the input scaling of training is folded in.
 */
import { floatTensor, writeSafetensors } from '../../../shared/formats/safetensors.ts';
import type { SaeVariant } from '../../../shared/jobs/sae.train.ts';
import type { TrainedSae } from '../evaluate.ts';
import type { SaeParameters } from '../parameters.ts';

export const CONFIG_FILE = 'cfg.json';
export const WEIGHTS_FILE = 'sae_weights.safetensors';

/**
 * SAELens' name of each code. It has no signed codes of its own but AbsTopK; batch variants are used by their threshold,
 * which for non-negative codes is a JumpReLU.
 */
const ARCHITECTURES: Readonly<Record<SaeVariant, string>> = {
  relu: 'standard',
  jumprelu: 'jumprelu',
  topk: 'topk',
  abstopk: 'abstopk',
  batch_topk: 'jumprelu',
  batch_abstopk: 'two_sided_jumprelu',
  two_sided_jumprelu: 'two_sided_jumprelu',
};

/** Where an autoencoder belongs; goes into `metadata`. */
export type SaeOrigin = {
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

export function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = values[i * columns + j]!;
  return out;
}

/** The two files of the folder. */
export function saelensFolder(sae: TrainedSae, origin: SaeOrigin): { config: Uint8Array; weights: Uint8Array } {
  const { parameters: p } = sae;
  const { inputs, width } = p;
  const architecture = ARCHITECTURES[sae.variant];
  const config = {
    architecture,
    d_in: inputs,
    d_sae: width,
    dtype: 'float32',
    device: 'cpu',
    apply_b_dec_to_input: sae.subtractBias,
    normalize_activations: 'none',
    reshape_activations: 'none',
    ...(architecture.endsWith('topk') && { k: sae.k, rescale_acts_by_decoder_norm: false }),
    metadata: {
      model_name: origin.model_name,
      hook_name: origin.hook_name,
      sextant: {
        variant: sae.variant,
        k: sae.k,
        iterations: sae.iterations ?? 1,
        iteration_step: sae.iterationStep ?? 1,
        input_scale: origin.input_scale,
      },
    },
  };
  const tensors = [
    floatTensor('W_enc', [inputs, width], transpose(p.encoder, width, inputs)),
    floatTensor('b_enc', [width], p.encoderBias),
    floatTensor('W_dec', [width, inputs], p.decoder),
    floatTensor('b_dec', [inputs], p.decoderBias),
    ...(p.threshold ? [floatTensor('threshold', [width], p.threshold)] : []),
  ];
  return {
    config: new TextEncoder().encode(`${JSON.stringify(config, null, 2)}\n`),
    weights: writeSafetensors(tensors, { format: 'pt' }),
  };
}
