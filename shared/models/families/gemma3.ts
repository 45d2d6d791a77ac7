/**
 * Gemma 3, text alone: Gemma 2 without soft caps of the scores, with norms over each query and key head, and five layers that
 * see a window, turned by an embedding of their own, for each that sees all.
 */
import type { Family } from '../architecture.ts';
import { readLayeredRopes, ropeConfig } from '../rope.ts';
import { gemma2 } from './gemma2.ts';
import { activationName, layerTypes, llamaLikeConfig, readLlamaLike, readWindows, rmsNorm } from './llama-like.ts';

/** Every so many layers one sees all. */
const PATTERN = 6;

export const gemma3: Family = {
  modelType: 'gemma3_text',
  prefix: 'model.',
  architecture(config) {
    config.raw('hidden_act'); // A leftover; the publisher's code reads hidden_activation.
    config.only('use_bidirectional_attention', false);
    config.only('attn_logit_softcapping', undefined);
    const headDim = config.count('head_dim', 256);
    const { rope, localRope } = readLayeredRopes(config, headDim, {
      theta: 1e6,
      local: { theta: 1e4, legacyTheta: 'rope_local_base_freq' },
    });
    const base = readLlamaLike(config, 'gemma3_text', {
      activationField: 'hidden_activation',
      activation: 'gelu_pytorch_tanh',
      tied: true,
      heads: { heads: 8, kvHeads: 4, headDim },
      context: 131_072,
      rope,
    });
    const bias = config.flag('attention_bias', false);
    const pattern = config.count('sliding_window_pattern', config.count('_sliding_window_pattern', PATTERN));
    const windows = readWindows(
      config,
      base.layers,
      config.count('sliding_window', 4096),
      (layer) => (layer + 1) % pattern > 0,
    );
    const cap = config.raw('final_logit_softcapping') === undefined ? null : config.number('final_logit_softcapping');
    if (cap !== null && !(cap > 0)) {
      throw config.refuse('final_logit_softcapping', 'must be above 0, or null for none');
    }
    return {
      ...base,
      localRope,
      turned: windows.map((window) => (window === null ? 'rope' : 'localRope')),
      norm: { ...base.norm, weightOffset: 1 },
      attentionScale: base.attentionScale.fill(config.number('query_pre_attn_scalar', 256) ** -0.5),
      logitCap: cap,
      windows,
      embeddingScale: Math.fround(Math.sqrt(base.width)),
      attentionBias: bias,
      outputBias: bias,
    };
  },
  weights(a) {
    const weights = gemma2.weights(a);
    const layers = weights.layers.map((layer, index) => ({
      ...layer,
      queryNorm: rmsNorm(`model.layers.${index}.self_attn.q_norm`, a.headDim),
      keyNorm: rmsNorm(`model.layers.${index}.self_attn.k_norm`, a.headDim),
    }));
    return { ...weights, layers };
  },
  config(a) {
    const { rope_theta: _theta, ...rest } = llamaLikeConfig(a, 'Gemma3ForCausalLM');
    return {
      ...rest,
      hidden_activation: activationName(a.activation),
      attention_bias: a.attentionBias,
      query_pre_attn_scalar: Math.round((a.attentionScale[0] ?? 1) ** -2),
      final_logit_softcapping: a.logitCap,
      sliding_window: a.windows.find((w) => w !== null) ?? 4096,
      layer_types: layerTypes(a),
      rope_parameters: {
        full_attention: a.rope && ropeConfig(a.rope),
        sliding_attention: a.localRope && ropeConfig(a.localRope),
      },
    };
  },
};
