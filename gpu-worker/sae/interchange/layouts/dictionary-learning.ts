/**
 * dictionary_learning (Marks, Karvonen & Mueller): `ae.pt` with a `config.json` whose `trainer.dict_class` names the class;
 * each class has names of its own for the tensors, and rules of its own for biases and thresholds.
 */
import type { TrainedSae } from '../../measures/evaluate.ts';
import { nextAbove, transpose } from '../saelens.ts';
import { type Config, invalid, isRecord, SaeSource, type TensorFile, unitRows, unsupported, words } from '../source.ts';

const NAME = 'dictionary_learning';
const HARMLESS = words(`trainer_class dict_class lr steps auxk_alpha warmup_steps decay_start threshold_beta
  threshold_start_step seed activation_dim dict_size device layer lm_name wandb_name submodule_name top_k_aux
  k_anneal_steps group_fractions group_weights group_sizes l1_penalty sparsity_warmup_steps resample_steps
  bandwidth sparsity_penalty target_l0 initial_sparsity_penalty sparsity_function p_start p_end anneal_start anneal_end
  sparsity_queue_length n_sparsity_updates use_constant_l1 auxk_coeff top_k_aux_frac same_init_for_all_layers
  norm_init_scale init_with_transpose code_normalization code_normalization_alpha_sae code_normalization_alpha_cc`);
/** The class that a trainer makes where the config is from before classes were named. */
const CLASS_OF_TRAINER: Readonly<Record<string, string>> = {
  StandardTrainer: 'AutoEncoder',
  StandardTrainerAprilUpdate: 'AutoEncoder',
  PAnnealTrainer: 'AutoEncoder',
  TopKTrainer: 'AutoEncoderTopK',
  TrainerTopK: 'AutoEncoderTopK',
  BatchTopKTrainer: 'BatchTopKSAE',
  TrainerBatchTopK: 'BatchTopKSAE',
  JumpReluTrainer: 'JumpReluAutoEncoder',
  TrainerJumpRelu: 'JumpReluAutoEncoder',
  MatryoshkaBatchTopKTrainer: 'MatryoshkaBatchTopKSAE',
  MatroyshkaBatchTopKTrainer: 'MatryoshkaBatchTopKSAE',
  CrossCoderTrainer: 'CrossCoder',
  GatedSAETrainer: 'GatedAutoEncoder',
  GatedAnnealTrainer: 'GatedAutoEncoder',
  GatedTrainer: 'GatedAutoEncoder',
};

export const isDictionaryLearning = (config: Config): boolean => isRecord(config.trainer) || 'dict_class' in config;

/** Reads one by its class. */
export function readDictionaryLearning(config: Config, file: TensorFile): TrainedSae {
  const trainer = isRecord(config.trainer) ? config.trainer : config;
  const outer = Object.keys(config).filter((name) => trainer !== config && !['trainer', 'buffer'].includes(name));
  if (outer.length > 0) {
    throw unsupported(`fields of a ${NAME} config that are not known: ${outer.join(', ')}`);
  }
  const source = new SaeSource(trainer, file);
  const named = source.field('dict_class') ?? CLASS_OF_TRAINER[String(source.field('trainer_class'))];
  const read = Object.hasOwn(READERS, String(named)) ? READERS[String(named)] : undefined;
  if (!read) {
    throw unsupported(`${NAME} class '${String(named)}'; supported are ${Object.keys(READERS).sort().join(', ')}`);
  }
  const sae = read(source);
  source.finish(NAME, HARMLESS);
  return sae;
}

const READERS: Readonly<Record<string, (source: SaeSource) => TrainedSae>> = {
  AutoEncoder: (source) => ({
    variant: 'relu',
    k: null,
    subtractBias: true,
    parameters: linear(source, 'bias'),
  }),
  // The same with a bias within its decoder, which is not subtracted from the input.
  AutoEncoderNew: (source) => ({
    variant: 'relu',
    k: null,
    subtractBias: false,
    parameters: linear(source, 'decoder.bias'),
  }),
  IdentityDict: identity,
  CrossCoder: crossCoder,
  AutoEncoderTopK(source) {
    source.passOver('threshold'); // Used where asked for only; the default is the k largest.
    return { variant: 'topk', k: source.k(), subtractBias: true, parameters: linear(source, 'b_dec') };
  },
  BatchTopKSAE: (source) => overBatch(source, linear(source, 'b_dec')),
  MatryoshkaBatchTopKSAE(source) {
    source.passOver('group_sizes');
    return overBatch(source, plain(source));
  },
  MatroyshkaBatchTopKSAE: (source) => READERS.MatryoshkaBatchTopKSAE!(source),
  // Its bias is not subtracted.
  JumpReluAutoEncoder(source) {
    const subtractBias = source.flag('apply_b_dec_to_input', false);
    const read = plain(source);
    const parameters = { ...read, threshold: source.tensor('threshold', [read.width], true) };
    return {
      variant: 'jumprelu',
      k: null,
      subtractBias,
      parameters: codesByNorms(source) ? unitRows(parameters) : parameters,
    };
  },
};

/**
 * Whether a JumpReLU's codes are multiplied by the norms of their decoder rows, as they were until the library's revision
 * ec961ac (January 2025), which keeps those norms at 1 instead. Trainers of before do not write `sparsity_warmup_steps`.
 */
const codesByNorms = (source: SaeSource): boolean =>
  ['TrainerJumpRelu', 'JumpReluTrainer'].includes(String(source.field('trainer_class'))) &&
  source.field('sparsity_warmup_steps') === undefined;

/** Widest identity that is laid out as matrices: 1 GiB of them. */
const WIDEST_IDENTITY = 11_585;

/** Its codes are the activations themselves, with their signs: a threshold of 0 on both sides, between two unit matrices. */
function identity(source: SaeSource): TrainedSae {
  const inputs = source.field('activation_dim');
  if (typeof inputs !== 'number' || !Number.isInteger(inputs) || inputs < 1 || inputs > WIDEST_IDENTITY) {
    throw invalid(
      `IdentityDict has no tensors, so its 'activation_dim' must say its width, from 1 to ${WIDEST_IDENTITY}`,
    );
  }
  const unit = new Float32Array(inputs * inputs);
  for (let i = 0; i < inputs; i++) {
    unit[i * inputs + i] = 1;
  }
  const parameters = {
    width: inputs,
    inputs,
    encoder: unit,
    decoder: unit.slice(),
    encoderBias: new Float32Array(inputs),
    decoderBias: new Float32Array(inputs),
    threshold: new Float32Array(inputs),
  };
  return { variant: 'two_sided_jumprelu', k: null, subtractBias: false, parameters };
}

/**
 * A dictionary over several layers or models: [layers, width, latents] and [layers, latents, width]. It is one over rows in
 * which the layers stand one after another, since the encoder adds up what they say.
 */
function crossCoder(source: SaeSource): TrainedSae {
  const { shape, values } = source.rank3('encoder.weight');
  const [layers, d, width] = shape;
  for (const name of ['num_layers', 'num_decoder_layers']) {
    const said = source.field(name);
    if (said !== undefined && said !== layers) {
      throw unsupported(`a CrossCoder that reads ${layers} layers and has ${name} = ${String(said)}`);
    }
  }
  const inputs = layers * d;
  const back = source.tensor('decoder.weight', [layers, width, d]);
  const decoder = new Float32Array(width * inputs);
  for (let layer = 0; layer < layers; layer++) {
    for (let latent = 0; latent < width; latent++) {
      const from = (layer * width + latent) * d;
      decoder.set(back.subarray(from, from + d), latent * inputs + layer * d);
    }
  }
  const parameters = {
    width,
    inputs,
    encoder: transpose(values, inputs, width),
    decoder,
    encoderBias: source.tensor('encoder.bias', [width]),
    decoderBias: source.tensor('decoder.bias', [layers, d]),
    threshold: null,
  };
  return { variant: 'relu', k: null, subtractBias: false, parameters };
}

const linear = (source: SaeSource, decoderBias: string) =>
  source.parameters({
    encoder: ['encoder.weight', true],
    decoder: source.has('decoder') ? ['decoder', true] : ['decoder.weight', false],
    encoderBias: 'encoder.bias',
    decoderBias,
  });

const plain = (source: SaeSource) =>
  source.parameters({
    encoder: ['W_enc', false],
    decoder: ['W_dec', true],
    encoderBias: 'b_enc',
    decoderBias: 'b_dec',
  });

/** Codes above a threshold that is one number; below 0, as it is before it was measured, all that are positive. */
function overBatch(source: SaeSource, parameters: TrainedSae['parameters']): TrainedSae {
  const k = source.k();
  if (!source.has('threshold')) {
    throw invalid("a code over batches needs its 'threshold'");
  }
  const threshold = source.tensor('threshold', [parameters.width], true).map((value) => nextAbove(Math.max(0, value)));
  return { variant: 'batch_topk', k, subtractBias: true, parameters: { ...parameters, threshold } };
}
