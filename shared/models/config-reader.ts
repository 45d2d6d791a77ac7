/**
 * Reads a Hugging Face `config.json` field by field and remembers which fields were read. What is left at the end is
 * either known not to touch the arithmetic, or absent (null), or refused by name: a field that nobody understood may
 * change what the model computes, and one that is false may do so as well.
 */
import { SextantError } from '../contracts/problem.ts';

/** Fields of any model type that do not change logits at evaluation time in float32. */
const HARMLESS = new Set(
  `architectures auto_map bos_token_id eos_token_id pad_token_id sep_token_id decoder_start_token_id dtype torch_dtype
  transformers_version use_cache initializer_range output_attentions output_hidden_states output_scores return_dict
  return_dict_in_generate chunk_size_feed_forward id2label label2id problem_type task_specific_params attention_dropout
  hidden_dropout classifier_dropout attn_pdrop embd_pdrop resid_pdrop summary_type summary_use_proj summary_activation
  summary_proj_to_labels summary_first_dropout pretraining_tp cache_implementation finetuning_task tokenizer_class
  prefix model_type attn_implementation torchscript use_bfloat16 name_or_path max_length min_length do_sample
  early_stopping num_beams num_beam_groups diversity_penalty temperature top_k top_p typical_p repetition_penalty
  length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids num_return_sequences forced_bos_token_id
  forced_eos_token_id remove_invalid_values exponential_decay_length_penalty suppress_tokens begin_suppress_tokens
  gradient_checkpointing n_ctx reorder_and_upcast_attn is_decoder num_labels num_classes output_past vocab_file
  attention_probs_dropout_prob hidden_dropout_prob dropout embedding_dropout embed_dropout attention_dropout_prob
  classifier_dropout_prob is_llama_config transformers.js_config unsloth_version unsloth_fixed unsloth_traingin_version
  max_sequence_length model_max_length seq_length tokenizer_model_max_length use_flash_attention use_flash_attn
  use_flash_attention_2 flash_attention attn_implementation_autoset experts_implementation tensor_parallel_degree
  mup_scale_factor onnx fp16 bf16 fp32 low_cpu_mem_usage return_logits task base_model_name_or_path
  license language library_name tags is_composition tie_last_hidden_states auto_class custom_pipelines device_map
  neuron sagemaker use_bfloat16 xla_device max_new_tokens min_new_tokens eos_token bos_token pad_token unk_token_id
  mask_token_id cls_token_id forced_decoder_ids decoder_input_ids activation full_attn_mod interpolate_factor`.split(
    /\s+/,
  ),
);

/** Fields that change nothing at one value, which is what the publishers' library computes whatever model it is. */
const NEUTRAL: Readonly<Record<string, unknown>> = {
  is_causal: true,
  is_encoder_decoder: false,
  add_cross_attention: false,
  tie_encoder_decoder: false,
  use_bidirectional_attention: false,
  lm_head_bias: false,
  mlp_bias: false,
  rope_interleaved: false,
  use_mrope: false,
  pruned_heads: {},
  per_layer_config: {},
};

const isNeutral = (name: string, value: unknown): boolean =>
  Object.hasOwn(NEUTRAL, name) && JSON.stringify(NEUTRAL[name]) === JSON.stringify(value);

/** Fields that may be null where they have a default: what they are then is worked out of others, or is nothing. */
const NULLABLE: ReadonlySet<string> = new Set(
  `num_key_value_heads head_dim n_inner intermediate_size final_logit_softcapping attn_logit_softcapping sliding_window
  _sliding_window_pattern window_size original_max_position_embeddings attention_factor mscale mscale_all_dim`.split(
    /\s+/,
  ),
);

const refuse = (message: string) => new SextantError('model_unsupported', message);

export class ConfigReader {
  readonly modelType: string;
  readonly #fields: Record<string, unknown>;
  readonly #read = new Set<string>();
  readonly #path: string;

  /** @throws SextantError `model_unsupported` where `config` is not an object */
  constructor(config: unknown, path = '') {
    if (typeof config !== 'object' || config === null || Array.isArray(config)) {
      throw refuse(`${path || 'config.json'} must be an object`);
    }
    this.#fields = config as Record<string, unknown>;
    this.#path = path;
    this.modelType = String(this.#fields.model_type ?? '');
  }

  /** Whether it holds no field. */
  get empty(): boolean {
    return Object.keys(this.#fields).length === 0;
  }

  /** The raw value; undefined where absent or null. */
  raw(name: string): unknown {
    this.#read.add(name);
    return this.#fields[name] ?? undefined;
  }

  /** Whether the field is written at all, be it as null. */
  has(name: string): boolean {
    this.#read.add(name);
    return Object.hasOwn(this.#fields, name);
  }

  /** The raw value, or the default of a field that is not written; null is no value where the publishers' library refuses it. */
  #orDefault(name: string, fallback: unknown): unknown {
    if (this.#fields[name] === null && fallback !== undefined && !NULLABLE.has(name)) {
      throw this.refuse(name, `is null; give its value, or leave it out for ${JSON.stringify(fallback)}`);
    }
    return this.raw(name) ?? fallback;
  }

  /** A finite number. Without `fallback` the field is required. */
  number(name: string, fallback?: number): number {
    const value = this.#orDefault(name, fallback);
    if (typeof value !== 'number' || !Number.isFinite(value)) {
      throw this.#wrong(name, 'a finite number', value);
    }
    return value;
  }

  /** A positive integer up to `most`, by default below 2^31. */
  count(name: string, fallback?: number, most = 2 ** 31 - 1): number {
    const value = this.number(name, fallback);
    if (!Number.isInteger(value) || value < 1) {
      throw this.#wrong(name, 'a positive integer', value);
    }
    if (value > most) {
      throw this.#wrong(name, `at most ${most}`, value);
    }
    return value;
  }

  /** How many layers or heads: lists are made of them before any weight is looked at, so they are bounded. */
  parts(name: string, fallback?: number): number {
    return this.count(name, fallback, 1024);
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.#orDefault(name, fallback);
    if (typeof value !== 'boolean') {
      throw this.#wrong(name, 'true or false', value);
    }
    return value;
  }

  /** One of the given strings. */
  choice<T extends string>(name: string, allowed: readonly T[], fallback?: T): T {
    const value = this.#orDefault(name, fallback);
    const found = allowed.find((option) => option === value);
    if (found === undefined) {
      throw this.#wrong(name, `one of ${allowed.join(', ')}`, value);
    }
    return found;
  }

  /** Refuses any value but the given one (or none). */
  only(name: string, value: unknown): void {
    const found = this.raw(name);
    if (found !== undefined && found !== value) {
      throw this.#wrong(name, `${JSON.stringify(value)} or absent`, found);
    }
  }

  /** A nested object, or undefined. */
  section(name: string): ConfigReader | undefined {
    const value = this.raw(name);
    return value === undefined ? undefined : new ConfigReader(value, `${this.#path}${name}.`);
  }

  /** @throws SextantError `model_unsupported` naming every field that nobody read and that may matter */
  finish(): void {
    const unknown = Object.entries(this.#fields)
      .filter(([name, value]) => value !== null && !name.startsWith('_') && !this.#read.has(name))
      .filter(([name, value]) => this.#path !== '' || !(HARMLESS.has(name) || isNeutral(name, value)))
      .map(([name]) => `${this.#path}${name}`);
    if (unknown.length > 0) {
      throw refuse(
        `config${this.modelType && ` of model_type '${this.modelType}'`} has fields that are not supported and may change the arithmetic: ${unknown.join(', ')}`,
      );
    }
  }

  /** An error about this field. */
  refuse(name: string, why: string): SextantError {
    return refuse(`config field '${this.#path}${name}': ${why}`);
  }

  #wrong(name: string, expected: string, value: unknown): SextantError {
    return this.refuse(name, `must be ${expected}, is ${JSON.stringify(value)?.slice(0, 80) ?? 'absent'}`);
  }
}
