/** Llama 1 to 3.2 and what copies them: RMS norms, rotary embedding, grouped queries, a gated MLP. */
import type { Family } from '../architecture.ts';
import { llamaLikeConfig, llamaLikeWeights, readLlamaLike } from './llama-like.ts';

export const llama: Family = {
  modelType: 'llama',
  prefix: 'model.',
  architecture(config) {
    const bias = config.flag('attention_bias', false);
    return {
      ...readLlamaLike(config, 'llama'),
      attentionBias: bias,
      outputBias: bias,
      mlpBias: config.flag('mlp_bias', false),
    };
  },
  weights: (a) => llamaLikeWeights(a),
  config: (a) => ({
    ...llamaLikeConfig(a, 'LlamaForCausalLM'),
    attention_bias: a.attentionBias,
    mlp_bias: a.mlpBias,
  }),
};
