/** Qwen3 (dense): Qwen2 without the biases, with RMS norms over each query and key head. */
import type { Family } from '../architecture.ts';
import { llamaLikeConfig, llamaLikeWeights, readLlamaLike, rmsNorm } from './llama-like.ts';
import { qwenWindowConfig, readQwenWindows } from './qwen2.ts';

export const qwen3: Family = {
  modelType: 'qwen3',
  prefix: 'model.',
  architecture(config) {
    // Unlike its relatives, a Qwen3 config without the field means heads of 128.
    if (config.raw('head_dim') === undefined) {
      throw config.refuse('head_dim', 'is required');
    }
    const base = readLlamaLike(config, 'qwen3');
    const bias = config.flag('attention_bias', false);
    return { ...base, windows: readQwenWindows(config, base.layers), attentionBias: bias, outputBias: bias };
  },
  weights: (a) =>
    llamaLikeWeights(a, (prefix) => ({
      queryNorm: rmsNorm(`${prefix}.self_attn.q_norm`, a.headDim),
      keyNorm: rmsNorm(`${prefix}.self_attn.k_norm`, a.headDim),
    })),
  config: (a) => ({
    ...llamaLikeConfig(a, 'Qwen3ForCausalLM'),
    ...qwenWindowConfig(a),
    attention_bias: a.attentionBias,
  }),
};
