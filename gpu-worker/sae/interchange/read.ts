/**
 * Autoencoders from safetensors files in the common layouts: SAELens, sparsify (EleutherAI), dictionary_learning and
 * OpenAI. No pickle is ever opened.
 */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { readSafetensors, type Safetensors } from '../../../shared/formats/safetensors.ts';
import { isSaeVariant, saeVariant, saeVariantNamed } from '../../../shared/models/sae-variant-facts.ts';
import type { SaeVariant } from '../../../shared/models/sae-variants.ts';
import { notFinite, type SaeParameters } from '../codes/parameters.ts';
import type { TrainedSae } from '../measures/evaluate.ts';
import { keepsEqual, nextAbove, transpose } from './saelens.ts';

type Config = Readonly<Record<string, unknown>>;

/** A tensor's name in a layout, and whether its rows are latents. */
type Layout = {
  name: string;
  encoder: readonly [name: string, rowPerLatent: boolean];
  decoder: readonly [name: string, rowPerLatent: boolean];
  encoderBias: string;
  decoderBias: string;
};
const LAYOUTS: readonly Layout[] = [
  { name: 'SAELens', encoder: ['W_enc', false], decoder: ['W_dec', true], encoderBias: 'b_enc', decoderBias: 'b_dec' },
  {
    name: 'sparsify',
    encoder: ['encoder.weight', true],
    decoder: ['W_dec', true],
    encoderBias: 'encoder.bias',
    decoderBias: 'b_dec',
  },
  {
    name: 'dictionary_learning',
    encoder: ['encoder.weight', true],
    decoder: ['decoder.weight', false],
    encoderBias: 'encoder.bias',
    decoderBias: 'b_dec',
  },
  {
    name: 'dictionary_learning (ReLU)',
    encoder: ['encoder.weight', true],
    decoder: ['decoder.weight', false],
    encoderBias: 'encoder.bias',
    decoderBias: 'bias',
  },
  {
    name: 'OpenAI',
    encoder: ['encoder.weight', true],
    decoder: ['decoder.weight', false],
    encoderBias: 'latent_bias',
    decoderBias: 'pre_bias',
  },
];

const invalid = (detail: string): SextantError => new SextantError('data_invalid', detail);

/** PyTorch's files are pickles: a zip archive, or the pickle itself. */
const isPickle = (bytes: Uint8Array): boolean =>
  (bytes[0] === 0x50 && bytes[1] === 0x4b) || (bytes[0] === 0x80 && bytes[1]! >= 2 && bytes[1]! <= 5);

/**
 * Reads weights with the configuration that lies beside them.
 * @throws SextantError `data_invalid` for pickles, unknown layouts, wrong shapes and codes that are not supported;
 * `not_finite`
 */
export function readSae(weights: Uint8Array, config: Config): TrainedSae {
  if (isPickle(weights)) {
    throw invalid(
      'the weights are a pickle, which can run any code when opened. Convert them where you trust the file: ' +
        "save_file(torch.load('ae.pt', weights_only=True), 'sae_weights.safetensors') with safetensors.torch.save_file",
    );
  }
  let file: Safetensors;
  try {
    file = readSafetensors(weights);
  } catch (error) {
    throw invalid(`the weights are not a safetensors file: ${(error as Error).message}`);
  }
  const has = (name: string) => file.header.tensors.has(name);
  const layout = LAYOUTS.find(({ encoder, decoder, encoderBias, decoderBias }) =>
    [encoder[0], decoder[0], encoderBias, decoderBias].every(has),
  );
  if (!layout) {
    const names = [...file.header.tensors.keys()].slice(0, 12).join(', ');
    throw invalid(`no known layout has the tensors ${names}; known: ${LAYOUTS.map(({ name }) => name).join(', ')}`);
  }
  const code = codeOf(config);
  const parameters = rescaled(inclusive(parametersOf(file, layout), code.variant, config), config);
  if (saeVariant(code.variant).needsThreshold && !parameters.threshold)
    throw invalid(`a ${code.variant} needs its 'threshold'`);
  if (code.k !== null && code.k > parameters.width)
    throw invalid(`k = ${code.k} is above the width ${parameters.width}`);
  const bad = notFinite(parameters);
  if (bad) throw new SextantError('not_finite', `the weights hold a value that is not finite, in the ${bad}`);
  return { ...code, parameters };
}

function parametersOf(file: Safetensors, layout: Layout): SaeParameters {
  const matrix = ([name, rowPerLatent]: readonly [string, boolean]) => {
    const shape = file.shape(name);
    if (shape.length !== 2) throw invalid(`${name} must be a matrix, its shape is [${shape}]`);
    const [width, inputs] = (rowPerLatent ? shape : [shape[1]!, shape[0]!]) as [number, number];
    const values = file.float32(name).slice();
    return { width, inputs, values: rowPerLatent ? values : transpose(values, inputs, width) };
  };
  const [encoder, decoder] = [matrix(layout.encoder), matrix(layout.decoder)];
  const { width, inputs } = encoder;
  const vector = (name: string, length: number) => {
    const values = file.float32(name).slice();
    if (values.length === 1 && length > 1) return new Float32Array(length).fill(values[0]!);
    if (values.length !== length) throw invalid(`${name} must hold ${length} values, it holds ${values.length}`);
    return values;
  };
  if (decoder.width !== width || decoder.inputs !== inputs) {
    throw invalid(`encoder and decoder disagree: ${width} x ${inputs} and ${decoder.width} x ${decoder.inputs}`);
  }
  return {
    width,
    inputs,
    encoder: encoder.values,
    encoderBias: vector(layout.encoderBias, width),
    decoder: decoder.values,
    decoderBias: vector(layout.decoderBias, inputs),
    threshold: file.header.tensors.has('threshold') ? vector('threshold', width) : null,
  };
}

/** What a folder of ours says beyond SAELens' own fields. */
const ownOf = ({ metadata }: Config): Config | undefined => (metadata as { sextant?: Config } | undefined)?.sextant;

/** Which code the configuration means: ours where it says so, else by the names of the other libraries. */
function codeOf(config: Config): Omit<TrainedSae, 'parameters'> {
  if ((config.normalize_activations ?? 'none') !== 'none') {
    throw invalid(
      `normalize_activations '${String(config.normalize_activations)}' must be folded into the weights first`,
    );
  }
  const own = ownOf(config);
  const variant = own?.variant ?? variantName(config);
  if (!isSaeVariant(variant)) throw invalid(`there is no variant '${String(variant)}'`);
  const k = Number(own?.k ?? config.k ?? (config.activation_fn_kwargs as Config | undefined)?.k ?? Number.NaN);
  if (saeVariant(variant).selection === 'token' && !(Number.isInteger(k) && k > 0)) {
    throw invalid(`a ${variant} code needs a positive integer k in the configuration`);
  }
  return {
    variant,
    k: Number.isFinite(k) ? k : null,
    subtractBias: config.apply_b_dec_to_input !== false,
    iterations: Number(own?.iterations ?? 1),
    iterationStep: Number(own?.iteration_step ?? 1),
  };
}

function variantName(config: Config): string {
  const name = String(config.architecture ?? config.activation ?? config.activation_fn ?? 'standard').toLowerCase();
  const isTopk = config.activation_fn_str === 'topk' || (name === 'standard' && config.activation_fn === 'topk');
  return isTopk ? 'topk' : (saeVariantNamed(name) ?? name);
}

/** Our own batch variants are written with thresholds that codes must exceed, and used with those that they must reach. */
function inclusive(p: SaeParameters, variant: SaeVariant, config: Config): SaeParameters {
  const above = ownOf(config)?.threshold === 'kept_above';
  return p.threshold && above && keepsEqual(variant) ? { ...p, threshold: p.threshold.map(nextAbove) } : p;
}

/** SAELens may rank and scale codes by the norm of their decoder row: the same as unit rows. */
function rescaled(p: SaeParameters, config: Config): SaeParameters {
  if (config.rescale_acts_by_decoder_norm !== true) return p;
  const [encoder, decoder, encoderBias] = [p.encoder.slice(), p.decoder.slice(), p.encoderBias.slice()];
  for (let i = 0; i < p.width; i++) {
    const row = decoder.subarray(i * p.inputs, (i + 1) * p.inputs);
    const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    if (!(norm > 0)) continue;
    encoderBias[i]! *= norm;
    for (let j = 0; j < p.inputs; j++) {
      encoder[i * p.inputs + j]! *= norm;
      row[j]! /= norm;
    }
  }
  return { ...p, encoder, decoder, encoderBias };
}
