/** Gemma 1: Llama with norm weights stored less 1, scaled embeddings, a gated MLP of GELU by tanh, heads of their own width. */
import type { Family } from '../architecture.ts';
import { activationName, llamaLikeConfig, llamaLikeWeights, readLlamaLike } from './llama-like.ts';

export const gemma: Family = {
  modelType: 'gemma',
  prefix: 'model.',
  architecture(config) {
    config.only('use_bidirectional_attention', false);
    config.raw('hidden_activation'); // Written by some; the publisher's code reads hidden_act.
    if (!config.raw('head_dim')) {
      throw config.refuse('head_dim', 'is required');
    }
    const base = readLlamaLike(config, 'gemma', { activation: 'gelu_pytorch_tanh', tied: true });
    const bias = config.flag('attention_bias', false);
    return {
      ...base,
      norm: { ...base.norm, weightOffset: 1 },
      // The first configs say 'gelu' and mean this, as the publisher's code does.
      activation: base.activation === 'gelu' ? 'gelu_tanh' : base.activation,
      embeddingScale: Math.fround(Math.sqrt(base.width)),
      attentionBias: bias,
      outputBias: bias,
    };
  },
  weights: (a) => llamaLikeWeights(a),
  config: (a) => ({
    ...llamaLikeConfig(a, 'GemmaForCausalLM'),
    hidden_act: activationName(a.activation),
    attention_bias: a.attentionBias,
  }),
};
