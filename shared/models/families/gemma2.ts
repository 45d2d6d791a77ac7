/** Gemma 2: norms before and after each half-block, soft caps, windows on every other layer, scaled embeddings. */
import type { Family } from '../architecture.ts';
import {
  activationName,
  llamaLikeConfig,
  llamaLikeWeights,
  readLlamaLike,
  readWindows,
  rmsNorm,
} from './llama-like.ts';

export const gemma2: Family = {
  modelType: 'gemma2',
  prefix: 'model.',
  architecture(config) {
    config.raw('hidden_act'); // A leftover of Gemma 1; the publisher's code reads hidden_activation.
    config.only('use_bidirectional_attention', false);
    const base = readLlamaLike(config, 'gemma2', {
      activationField: 'hidden_activation',
      activation: 'gelu_pytorch_tanh',
      tied: true,
    });
    if (!config.raw('head_dim')) {
      throw config.refuse('head_dim', 'is required');
    }
    const bias = config.flag('attention_bias', false);
    config.only('sliding_window_size', 4096); // A leftover; the publisher's code reads sliding_window.
    const window = config.count('sliding_window', 4096);
    const cap = (field: string, fallback: number) => {
      if (config.has(field) && config.raw(field) === undefined) {
        return null;
      }
      const value = config.number(field, fallback);
      if (!(value > 0)) {
        throw config.refuse(field, 'must be above 0, or null for none');
      }
      return value;
    };
    return {
      ...base,
      norm: { ...base.norm, weightOffset: 1 },
      attentionScale: base.attentionScale.fill(config.number('query_pre_attn_scalar', 256) ** -0.5),
      attentionCap: cap('attn_logit_softcapping', 50),
      logitCap: cap('final_logit_softcapping', 30),
      windows: readWindows(config, base.layers, window, (layer) => layer % 2 === 0),
      // The factor is rounded to the weights' dtype in the publisher's code; in float32 that is this.
      embeddingScale: Math.fround(Math.sqrt(base.width)),
      attentionBias: bias,
      outputBias: bias,
    };
  },
  weights: (a) =>
    llamaLikeWeights(a, (prefix) => ({
      postAttentionNorm: rmsNorm(`${prefix}.post_attention_layernorm`, a.width),
      mlpNorm: rmsNorm(`${prefix}.pre_feedforward_layernorm`, a.width),
      postMlpNorm: rmsNorm(`${prefix}.post_feedforward_layernorm`, a.width),
    })),
  config: (a) => ({
    ...llamaLikeConfig(a, 'Gemma2ForCausalLM'),
    hidden_activation: activationName(a.activation),
    attention_bias: a.attentionBias,
    query_pre_attn_scalar: Math.round(a.attentionScale[0]! ** -2),
    attn_logit_softcapping: a.attentionCap,
    final_logit_softcapping: a.logitCap,
    sliding_window: a.windows.find((w) => w !== null) ?? null,
    layer_types: a.windows.map((w) => (w === null ? 'full_attention' : 'sliding_attention')),
  }),
};
