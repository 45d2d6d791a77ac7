/** OLMo 2: Llama whose halves of a block are normed behind instead of before, and queries and keys over all heads together. */
import type { Architecture, Family, LayerWeights } from '../architecture.ts';
import { llamaLikeConfig, llamaLikeWeights, readLlamaLike, rmsNorm } from './llama-like.ts';

/** Where OLMo 2 and 3 have their norms. */
export const olmoNorms =
  (a: Architecture) =>
  (prefix: string): Partial<LayerWeights> => ({
    attentionNorm: null,
    queryNorm: rmsNorm(`${prefix}.self_attn.q_norm`, a.heads * a.headDim),
    keyNorm: rmsNorm(`${prefix}.self_attn.k_norm`, a.kvHeads * a.headDim),
    postAttentionNorm: rmsNorm(`${prefix}.post_attention_layernorm`, a.width),
    mlpNorm: null,
    postMlpNorm: rmsNorm(`${prefix}.post_feedforward_layernorm`, a.width),
  });

export const olmo2: Family = {
  modelType: 'olmo2',
  prefix: 'model.',
  architecture(config) {
    const base = readLlamaLike(config, 'olmo2', { eps: 1e-5 });
    const bias = config.flag('attention_bias', false);
    return { ...base, attentionBias: bias, outputBias: bias };
  },
  weights: (a) => llamaLikeWeights(a, olmoNorms(a)),
  config: (a) => ({ ...llamaLikeConfig(a, 'Olmo2ForCausalLM'), attention_bias: a.attentionBias }),
};
