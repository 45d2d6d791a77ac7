import { describe, expect, it } from 'vitest';
import { describe as describeModel, FAMILIES, parseArchitecture } from '../../../shared/models/describe.ts';
import { TINY } from '../../support/tiny-model.ts';

const llama = TINY.llama!;
const refusal = (config: unknown): string => {
  try {
    parseArchitecture(config);
  } catch (error) {
    expect((error as { code: string }).code).toBe('model_unsupported');
    return (error as Error).message;
  }
  throw new Error('accepted');
};

describe('a config.json', () => {
  it.each(Object.keys(TINY))('of %s survives being written and read again', (name) => {
    const a = parseArchitecture(TINY[name]);
    expect(parseArchitecture(FAMILIES[a.family]!.config(a))).toEqual(a);
  });

  it('with more layers or heads than any model has is refused before lists are made of them', () => {
    expect(refusal({ ...llama, num_hidden_layers: 1e9 })).toMatch(/'num_hidden_layers': must be at most 1024/);
    expect(refusal({ ...llama, num_attention_heads: 1e9 })).toMatch(/'num_attention_heads'/);
    expect(refusal({ model_type: 'gpt2', n_layer: 1e9 })).toMatch(/'n_layer'/);
  });

  it('is counted like the publisher counts', () => {
    // GPT-2 small and Pythia-70m, by their model cards.
    expect(describeModel({ model_type: 'gpt2' }).parameters).toBe(124_439_808);
    const pythia = {
      model_type: 'gpt_neox',
      hidden_size: 512,
      num_hidden_layers: 6,
      num_attention_heads: 8,
      intermediate_size: 2048,
      vocab_size: 50304,
      max_position_embeddings: 2048,
      hidden_act: 'gelu',
      rotary_pct: 0.25,
      rotary_emb_base: 10000,
      layer_norm_eps: 1e-5,
      use_parallel_residual: true,
      tie_word_embeddings: false,
    };
    expect(describeModel(pythia).parameters).toBe(70_426_624);
    // Later versions of the publishers' library wrote the same under two names, and read the first.
    const both = { ...pythia, rope_theta: 10000, partial_rotary_factor: 0.25, rope_scaling: null };
    expect(parseArchitecture(both)).toEqual(parseArchitecture(pythia));
    expect(refusal({ ...both, rope_theta: 50000 })).toMatch(/'rope_theta': is 50000 where 'rotary_emb_base'/);
    expect(refusal({ ...both, partial_rotary_factor: 1 })).toMatch(/'partial_rotary_factor': is 1 where 'rotary_pct'/);
  });

  it('is accepted with what does not change the arithmetic', () => {
    const extra = {
      _name_or_path: 'x',
      use_cache: true,
      attention_dropout: 0.1,
      torch_dtype: 'bfloat16',
      pretraining_tp: 1,
      bos_token_id: 1,
      quantization_config: null,
      num_labels: 3,
      is_llama_config: true,
      'transformers.js_config': { kv_cache_dtype: 'fp16' },
      is_causal: true,
    };
    expect(parseArchitecture({ ...llama, ...extra })).toEqual(parseArchitecture(llama));
  });

  it('is refused by the name of what is not known', () => {
    expect(refusal({ ...llama, attention_multiplier: 0.5 })).toContain('attention_multiplier');
    expect(refusal({ ...llama, quantization_config: { bits: 4 } })).toContain('quantization_config');
    expect(refusal({ ...llama, model_type: 'mixtral' })).toContain("'mixtral'");
    expect(refusal({ ...llama, model_type: 'toString' })).toContain('toString');
    expect(refusal({ ...llama, hidden_act: 'mish' })).toContain('hidden_act');
    expect(refusal({ ...llama, rope_scaling: { rope_type: 'proportional', factor: 4 } })).toContain('proportional');
    expect(refusal({ ...llama, is_causal: false })).toContain('is_causal');
    expect(refusal({ ...llama, some_switch: false })).toContain('some_switch');
    expect(refusal({ ...TINY.gpt2!, is_causal: false })).toContain('is_causal');
    expect(refusal({ ...llama, rope_scaling: { rope_type: 'linear', factor: 4, beta_fast: 3 } })).toContain(
      'rope_scaling.beta_fast',
    );
    expect(refusal({ ...llama, num_key_value_heads: 3 })).toContain('num_key_value_heads');
    expect(refusal({ ...llama, hidden_size: -16 })).toContain('hidden_size');
    expect(refusal({ ...llama, vocab_size: 1.5 })).toContain('vocab_size');
    expect(refusal({ ...TINY.gpt2!, add_cross_attention: true })).toContain('add_cross_attention');
    expect(refusal({ ...TINY.qwen2!, layer_types: ['full_attention', 'linear_attention'] })).toContain(
      'linear_attention',
    );
    expect(refusal([])).toContain('object');
    expect(refusal(null)).toContain('object');
  });

  it('states its windows layer by layer', () => {
    expect(parseArchitecture(TINY.mistral).windows).toEqual([4, 4]);
    expect(parseArchitecture({ ...TINY.mistral!, sliding_window: null }).windows).toEqual([null, null]);
    expect(parseArchitecture(TINY.gemma2).windows).toEqual([3, null]);
    const qwen = { ...TINY.qwen2!, use_sliding_window: true, sliding_window: 5, max_window_layers: 1 };
    expect(parseArchitecture(qwen).windows).toEqual([null, 5]);
    expect(parseArchitecture({ ...qwen, use_sliding_window: false }).windows).toEqual([null, null]);
  });
});
