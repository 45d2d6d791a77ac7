/**
 * BitNet b1.58 (arXiv:2402.17764) with dense stored weights: Llama with squared ReLU and a norm before each output
 * projection. Weights that are packed or quantised while computing are another arithmetic and are refused.
 */
import type { Family } from '../architecture.ts';
import { llamaLikeConfig, llamaLikeWeights, readLlamaLike, rmsNorm } from './llama-like.ts';

export const bitnet: Family = {
  modelType: 'bitnet',
  prefix: 'model.',
  architecture(config) {
    const bias = config.flag('attention_bias', false);
    const base = readLlamaLike(config, 'bitnet', { activation: 'relu2', eps: 1e-5, theta: 500_000 });
    return { ...base, attentionBias: bias, outputBias: bias };
  },
  weights: (a) =>
    llamaLikeWeights(a, (prefix) => ({
      attentionSubNorm: rmsNorm(`${prefix}.self_attn.attn_sub_norm`, a.heads * a.headDim),
      mlpSubNorm: rmsNorm(`${prefix}.mlp.ffn_sub_norm`, a.mlpWidth),
    })),
  config: (a) => ({ ...llamaLikeConfig(a, 'BitNetForCausalLM'), attention_bias: a.attentionBias }),
};
