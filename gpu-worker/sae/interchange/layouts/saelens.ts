/**
 * The SAELens folder, as versions before and since 6 write it, and ours, which says more in `metadata.sextant`. Before 6 the
 * architecture was `standard` with an activation beside it, and configs held the settings of training as well.
 */
import { isSaeVariant, saeVariant, saeVariantNamed } from '../../../../shared/models/sae-variant-facts.ts';
import type { ForeignCode } from '../../codes/foreign-codes.ts';
import type { Normalisation } from '../../codes/normalisation.ts';
import type { TrainedSae } from '../../measures/evaluate.ts';
import { keepsEqual, MATCHING_PURSUIT, nextAbove, transpose } from '../saelens.ts';
import { type Config, invalid, isRecord, type SaeSource, unitRows, unsupported, words } from '../source.ts';

const HARMLESS =
  words(`k activation_fn_kwargs metadata meta d_in d_sae dtype device model_name hook_name hook_layer hook_head_index hook_point
  hook_point_layer hook_point_head_index prepend_bos dataset_path dataset_trust_remote_code context_size neuronpedia_id
  model_from_pretrained_kwargs sae_lens_version sae_lens_training_version seqpos_slice reshape_activations
  exclude_special_tokens model_class_name sae_release sae_id hf_hook_name use_error_term
  l1_coefficient lp_norm lr l1_warm_up_steps l0_coefficient l0_warm_up_steps jumprelu_init_threshold jumprelu_bandwidth
  jumprelu_sparsity_loss_mode jumprelu_tanh_scale pre_act_loss_coefficient noise_scale decoder_init_norm
  aux_loss_coefficient topk_threshold_lr matryoshka_widths use_sparse_activations mse_loss_normalization
  use_ghost_grads normalize_sae_decoder decoder_heuristic_init init_encoder_as_decoder_transpose b_dec_init_method
  scale_sparsity_penalty_by_decoder_norm decoder_orthogonal_init ghost_grad
  model_kwargs streaming is_dataset_tokenized use_cached_activations cached_activations_path expansion_factor
  from_pretrained_path n_batches_in_buffer training_tokens finetuning_tokens store_batch_size_prompts
  train_batch_size_tokens train_batch_size store_batch_size autocast autocast_lm compile_llm llm_compilation_mode
  compile_sae sae_compilation_mode adam_beta1 adam_beta2 lr_scheduler_name lr_warm_up_steps lr_end lr_decay_steps
  n_restart_cycles finetuning_method feature_sampling_window dead_feature_window dead_feature_threshold
  dead_feature_estimation_method n_eval_batches eval_batch_size_prompts log_to_wandb log_activations_store_to_wandb
  log_optimizer_state_to_wandb wandb_project wandb_id run_name wandb_entity wandb_log_frequency
  eval_every_n_wandb_logs resume n_checkpoints checkpoint_path verbose tokens_per_buffer seed act_store_device
  resample_batches feature_reinit_scale feature_sampling_method total_training_tokens d_head sparsity_target_loss
  lr_scheduler lr_warmup_steps dead_feature_estimation sae_lens_checkpoint_path k_aux hook_eval layer
  activation_store_device training_dataset log_optimizer_to_wandb initial_b_dec disable_concat_sequences
  sequence_separator_token output_path logger save_final_checkpoint`);

const NORMALISATIONS: Readonly<Record<string, Normalisation | null>> = {
  none: null,
  layer_norm: 'layer_norm',
  constant_norm_rescale: 'constant_norm',
};

/** What a folder of ours says beyond SAELens' own fields. */
const ownOf = ({ metadata }: Config): Config | undefined =>
  isRecord(metadata) && isRecord(metadata.sextant) ? metadata.sextant : undefined;

export const isSaelens = ({ config, has }: SaeSource): boolean =>
  has('W_dec') &&
  ['architecture', 'd_in', 'd_sae', 'activation_fn_str', 'activation_fn', 'hook_name'].some((name) => name in config);

export function readSaelens(source: SaeSource): TrainedSae {
  if (String(source.field('architecture')).toLowerCase() === MATCHING_PURSUIT) {
    return readPursuit(source);
  }
  const own = ownOf(source.config);
  const { variant, code, takesK } = kindOf(source, own);
  const normalisation = normalisationOf(source);
  const subtractBias = source.flag('apply_b_dec_to_input', true);
  const rescaled = source.flag('rescale_acts_by_decoder_norm', false);
  const k = own ? own.k : takesK ? kOf(source) : null;
  const read = source.parameters({
    encoder: ['W_enc', false],
    decoder: ['W_dec', true],
    encoderBias: 'b_enc',
    decoderBias: 'b_dec',
  });
  const threshold = thresholdOf(source, read.width, saeVariant(variant).needsThreshold);
  const scaled = scaledDecoder(source, { ...read, threshold });
  const above = own?.threshold === 'kept_above';
  const parameters =
    scaled.threshold && above && keepsEqual(variant)
      ? { ...scaled, threshold: scaled.threshold.map(nextAbove) }
      : scaled;
  source.finish('SAELens', HARMLESS);
  return {
    variant,
    k: typeof k === 'number' ? k : null,
    subtractBias,
    // A threshold was learned of codes that are rescaled already.
    parameters: rescaled ? { ...unitRows(parameters), threshold: parameters.threshold } : parameters,
    ...(code && { code }),
    ...(normalisation && { normalisation }),
    iterations: Number(own?.iterations ?? 1),
    iterationStep: Number(own?.iteration_step ?? 1),
  };
}

/** One matrix, used in both directions; its bias is added only where it is subtracted. */
function readPursuit(source: SaeSource): TrainedSae {
  const normalisation = normalisationOf(source);
  const subtractBias = source.flag('apply_b_dec_to_input', true);
  const [width, inputs, ...more] = source.shape('W_dec');
  if (width === undefined || inputs === undefined || more.length > 0) {
    throw invalid(`W_dec must be a matrix, its shape is [${source.shape('W_dec')}]`);
  }
  source.requireSizes({ width, inputs });
  const decoder = source.tensor('W_dec', [width, inputs]);
  if (source.has('W_enc')) {
    const encoder = transpose(source.tensor('W_enc', [inputs, width]), inputs, width);
    if (encoder.some((value, i) => value !== decoder[i])) {
      throw unsupported(`a W_enc other than the transpose of W_dec, which is what ${MATCHING_PURSUIT} encodes with`);
    }
  }
  const bias = source.tensor('b_dec', [inputs]);
  const number = (name: string, fallback: number, whole: boolean): number => {
    const value = source.field(name) ?? fallback;
    if (typeof value !== 'number' || (whole && !(Number.isInteger(value) && value > 0))) {
      throw invalid(`'${name}' must be a ${whole ? 'positive integer' : 'number'}, it is ${JSON.stringify(value)}`);
    }
    return value;
  };
  const pursuit = {
    residualThreshold: number('residual_threshold', 0.01, false),
    maxIterations: number('max_iterations', inputs, true),
    stopOnDuplicateSupport: source.flag('stop_on_duplicate_support', true),
  };
  source.finish('SAELens', HARMLESS);
  return {
    variant: 'relu',
    k: null,
    subtractBias,
    parameters: {
      inputs,
      width,
      encoder: decoder,
      encoderBias: new Float32Array(width),
      decoder,
      decoderBias: subtractBias ? bias : new Float32Array(inputs),
      threshold: null,
    },
    pursuit,
    ...(normalisation && { normalisation }),
  };
}

type Kind = { variant: TrainedSae['variant']; code: ForeignCode | null; takesK: boolean };

function kindOf(source: SaeSource, own: Config | undefined): Kind {
  const architecture = String(source.field('architecture') ?? 'standard').toLowerCase();
  const activation = String(source.field('activation_fn_str') ?? source.field('activation_fn') ?? 'relu').toLowerCase();
  source.field('activation_fn');
  if (own) {
    if (!isSaeVariant(own.variant)) {
      throw invalid(`there is no variant '${String(own.variant)}'`);
    }
    return { variant: own.variant, code: isForeign(own.code) ? own.code : null, takesK: true };
  }
  const topk = activation === 'topk' || activation === 'top-k';
  if (!topk && activation !== 'relu' && activation !== 'tanh-relu') {
    throw unsupported(`activation '${activation}'; relu, tanh-relu and topk are supported`);
  }
  const code = activation === 'tanh-relu' ? ('tanh_relu' as const) : null;
  if (architecture === 'standard') {
    return { variant: topk ? 'topk' : 'relu', code, takesK: topk };
  }
  const variant = saeVariantNamed(architecture);
  if (!variant) {
    throw unsupported(`architecture '${architecture}': there is no variant '${architecture}' here`);
  }
  if (code) {
    throw unsupported(`activation '${activation}' of architecture '${architecture}'`);
  }
  if (topk && saeVariant(variant).takes !== 'k') {
    throw unsupported(`activation topk of architecture '${architecture}'`);
  }
  return {
    variant,
    code: null,
    takesK: saeVariant(variant).selection === 'token' && saeVariant(variant).takes === 'k',
  };
}

const isForeign = (name: unknown): name is ForeignCode =>
  ['groupmax', 'tanh_relu', 'linear', 'largest_k'].includes(String(name));

function kOf(source: SaeSource): number {
  const more = source.field('activation_fn_kwargs');
  if (isRecord(more) && typeof more.k === 'number') {
    source.field('k');
    return more.k;
  }
  return source.k();
}

function normalisationOf(source: SaeSource): Normalisation | null {
  const written = source.field('normalize_activations') ?? 'none';
  const name = written === false ? 'none' : written === true ? 'expected_average_only_in' : String(written);
  if (Object.hasOwn(NORMALISATIONS, name)) {
    return NORMALISATIONS[name]!;
  }
  throw unsupported(
    `normalize_activations '${name}' needs the data that this was trained on, it must be folded into the weights first`,
  );
}

/** Learned thresholds, or their logarithm as training stores it. */
function thresholdOf(source: SaeSource, width: number, needed: boolean): Float32Array | null {
  if (!needed) {
    return null;
  }
  if (source.has('log_threshold')) {
    return source.tensor('log_threshold', [width]).map(Math.exp);
  }
  if (source.has('topk_threshold')) {
    // A checkpoint of training over batches: what its library makes of it for use keeps relu(u) above this one number.
    return source.tensor('topk_threshold', [width], true).map((value) => nextAbove(Math.max(0, value)));
  }
  if (!source.has('threshold')) {
    throw invalid("an autoencoder with thresholds needs its 'threshold'");
  }
  return source.tensor('threshold', [width], true);
}

/** Codes are multiplied by a factor of their own before decoding; some files hold the factors, all 1, without a use. */
function scaledDecoder(source: SaeSource, p: TrainedSae['parameters']): TrainedSae['parameters'] {
  const used = source.flag('finetuning_scaling_factor', false);
  const name = ['finetuning_scaling_factor', 'scaling_factor'].find(source.has);
  if (!name) {
    if (used) {
      throw invalid("the configuration asks for a 'finetuning_scaling_factor' that the weights do not hold");
    }
    return p;
  }
  const factors = source.tensor(name, [p.width]);
  if (!used && factors.some((factor) => factor !== 1)) {
    throw unsupported(`the weights hold a '${name}' other than 1 that the configuration does not ask for`);
  }
  return { ...p, decoder: p.decoder.map((value, i) => value * factors[Math.floor(i / p.inputs)]!) };
}
