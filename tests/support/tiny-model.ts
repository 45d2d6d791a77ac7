/** Small random models of every family in a temporary folder, for tests that need no reference data. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initialisers } from '../../gpu-worker/lm/weights/initialise.ts';
import { type SavedTokenizer, saveFolder } from '../../gpu-worker/lm/weights/save.ts';
import { stream } from '../../shared/math/random.ts';
import { listWeights } from '../../shared/models/architecture.ts';
import { familyOf, parseArchitecture } from '../../shared/models/describe.ts';

const llamaLike = {
  vocab_size: 61,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 32,
  rms_norm_eps: 1e-5,
};

const LONG_FACTORS = {
  type: 'longrope',
  short_factor: Array.from({ length: 8 }, (_, i) => 1 + 0.1 * i),
  long_factor: Array.from({ length: 8 }, (_, i) => 2 + 0.3 * i),
};

/** One config per family, each with the features that set it apart. */
export const TINY: Record<string, Record<string, unknown>> = {
  llama: { ...llamaLike, model_type: 'llama', rope_theta: 1e4, tie_word_embeddings: false, attention_bias: true },
  mistral: { ...llamaLike, model_type: 'mistral', sliding_window: 4 },
  qwen2: { ...llamaLike, model_type: 'qwen2', tie_word_embeddings: true },
  qwen3: { ...llamaLike, model_type: 'qwen3', head_dim: 8, tie_word_embeddings: true },
  gpt2: { model_type: 'gpt2', vocab_size: 61, n_positions: 32, n_embd: 16, n_layer: 2, n_head: 4 },
  gpt_neo: {
    model_type: 'gpt_neo',
    vocab_size: 61,
    max_position_embeddings: 32,
    hidden_size: 16,
    num_layers: 2,
    num_heads: 4,
    attention_types: [[['global', 'local'], 1]],
    window_size: 4,
  },
  gpt_neox: { ...llamaLike, model_type: 'gpt_neox', num_key_value_heads: null, rms_norm_eps: null, rotary_pct: 0.5 },
  gpt_neox_sequential: {
    ...llamaLike,
    model_type: 'gpt_neox',
    num_key_value_heads: null,
    rms_norm_eps: null,
    use_parallel_residual: false,
  },
  gemma: { ...llamaLike, model_type: 'gemma', num_key_value_heads: 1, head_dim: 4 },
  gemma2: {
    ...llamaLike,
    model_type: 'gemma2',
    head_dim: 4,
    query_pre_attn_scalar: 6,
    sliding_window: 3,
    attn_logit_softcapping: 2,
    final_logit_softcapping: 3,
  },
  gemma3: { ...llamaLike, model_type: 'gemma3_text', head_dim: 4, sliding_window: 3, sliding_window_pattern: 2 },
  olmo2: { ...llamaLike, model_type: 'olmo2' },
  olmo3: { ...llamaLike, model_type: 'olmo3', sliding_window: 3, layer_types: ['sliding_attention', 'full_attention'] },
  phi3: {
    ...llamaLike,
    model_type: 'phi3',
    sliding_window: 6,
    rope_scaling: { type: 'su', short_factor: [1, 1.5], long_factor: [2, 4] },
  },
  smollm3: { ...llamaLike, model_type: 'smollm3', no_rope_layers: [1, 0], tie_word_embeddings: false },
  qwen3_moe: {
    ...llamaLike,
    model_type: 'qwen3_moe',
    head_dim: 8,
    num_experts: 4,
    num_experts_per_tok: 2,
    moe_intermediate_size: 12,
    norm_topk_prob: true,
  },
  mixtral: { ...llamaLike, model_type: 'mixtral', num_local_experts: 3, num_experts_per_tok: 1, sliding_window: 5 },
  bitnet: { ...llamaLike, model_type: 'bitnet', tie_word_embeddings: true },
};

/**
 * The same families with heads wide enough for the runtime's own attention node: of 16, which it can turn by itself, and
 * where only a part of each head is turned, of 16 turned before.
 */
export const WIDE: Record<string, Record<string, unknown>> = Object.fromEntries(
  Object.entries(TINY).map(([name, config]) => [
    name,
    config.model_type === 'gpt2'
      ? { ...config, n_embd: 32 }
      : {
          ...config,
          hidden_size: 64,
          ...('head_dim' in config && { head_dim: 16 }),
          ...('rope_scaling' in config && { rope_scaling: LONG_FACTORS }),
        },
  ]),
);

export type TinyModel = { folder: string; remove: () => void };

/** Writes a random model; every weight is random (norms and biases too), so that no term is hidden by a zero. */
export function tinyModel(
  config: Record<string, unknown>,
  { seed = 1, tokenizer = null }: { seed?: number; tokenizer?: SavedTokenizer | null } = {},
): TinyModel {
  const parent = mkdtempSync(join(tmpdir(), 'sextant-lm-'));
  const folder = join(parent, 'model');
  const a = parseArchitecture(config);
  const initial = initialisers(a, familyOf(a.family).weights(a));
  const shapes = new Map(listWeights(familyOf(a.family).weights(a)).map(({ name, shape }) => [name, shape]));
  saveFolder(
    folder,
    a,
    (name) => {
      const random = stream(seed, name);
      const start = Float32Array.from(initial.get(name)!(shapes.get(name)!, random));
      const noise = random.derive('noise').normal(start.length, { deviation: 0.2 });
      return start.map((value, i) => value + noise[i]!);
    },
    { tokenizer, config },
  );
  return { folder, remove: () => rmSync(parent, { recursive: true }) };
}

/** Rows of random token ids. */
export const randomRows = (lengths: readonly number[], seed = 1, vocabulary = 61): number[][] =>
  lengths.map((length, row) => Array.from(stream(seed, `row ${row}`).integers(length, vocabulary)));

/** Largest absolute difference; infinite for NaN or different lengths. */
export function gap(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) {
    return Number.POSITIVE_INFINITY;
  }
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    if (Number.isNaN(difference)) {
      return Number.POSITIVE_INFINITY;
    }
    largest = Math.max(largest, difference);
  }
  return largest;
}
