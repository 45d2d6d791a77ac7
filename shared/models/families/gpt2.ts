/** GPT-2: layer norms with biases, learned positions, weights stored [in, out], one projection for q, k and v. */
import type { Architecture, Family, Linear, Norm } from '../architecture.ts';
import { activationName, readActivation } from './llama-like.ts';

const layerNorm = (name: string, width: number): Norm => ({
  weight: { name: `${name}.weight`, shape: [width] },
  bias: { name: `${name}.bias`, shape: [width] },
});

const conv1d = (name: string, inputs: number, outputs: number): Linear => ({
  weight: { name: `${name}.weight`, shape: [inputs, outputs] },
  bias: { name: `${name}.bias`, shape: [outputs] },
  layout: 'in_out',
});

export const gpt2: Family = {
  modelType: 'gpt2',
  prefix: 'transformer.',
  architecture(config): Architecture {
    const width = config.count('n_embd', 768);
    const layers = config.parts('n_layer', 12);
    const heads = config.parts('n_head', 12);
    if (width % heads !== 0) {
      throw config.refuse('n_head', `must divide the width ${width}`);
    }
    config.only('add_cross_attention', false);
    for (const leftover of ['n_special', 'predict_special_tokens']) {
      config.raw(leftover); // Of its first configs.
    }
    const base = config.flag('scale_attn_weights', true) ? (width / heads) ** -0.5 : 1;
    const byLayer = config.flag('scale_attn_by_inverse_layer_idx', false);
    return {
      family: 'gpt2',
      layers,
      width,
      heads,
      kvHeads: heads,
      headDim: width / heads,
      mlpWidth: config.raw('n_inner') === undefined ? 4 * width : config.count('n_inner'),
      vocabulary: config.count('vocab_size', 50257),
      context: config.count('n_positions', 1024),
      norm: { kind: 'layer', eps: config.number('layer_norm_epsilon', 1e-5), weightOffset: 0 },
      activation: readActivation(config, 'activation_function', 'gelu_new'),
      rope: null,
      localRope: null,
      turned: new Array<null>(layers).fill(null),
      parallel: false,
      attentionScale: Array.from({ length: layers }, (_, layer) => (byLayer ? base / (layer + 1) : base)),
      attentionCap: null,
      logitCap: null,
      windows: new Array<null>(layers).fill(null),
      embeddingScale: 1,
      paddingToken: null,
      tied: config.flag('tie_word_embeddings', true),
      attentionBias: true,
      outputBias: true,
      mlpBias: true,
      experts: null,
    };
  },
  weights(a) {
    const embedding = { name: 'transformer.wte.weight', shape: [a.vocabulary, a.width] };
    return {
      embedding,
      positions: { name: 'transformer.wpe.weight', shape: [a.context, a.width] },
      layers: Array.from({ length: a.layers }, (_, index) => {
        const prefix = `transformer.h.${index}`;
        return {
          attentionNorm: layerNorm(`${prefix}.ln_1`, a.width),
          qkv: { fused: conv1d(`${prefix}.attn.c_attn`, a.width, 3 * a.width), order: 'blocks' as const },
          queryNorm: null,
          keyNorm: null,
          attentionSubNorm: null,
          output: conv1d(`${prefix}.attn.c_proj`, a.width, a.width),
          postAttentionNorm: null,
          mlpNorm: layerNorm(`${prefix}.ln_2`, a.width),
          gate: null,
          up: conv1d(`${prefix}.mlp.c_fc`, a.width, a.mlpWidth),
          gateInUp: false,
          mlpSubNorm: null,
          down: conv1d(`${prefix}.mlp.c_proj`, a.mlpWidth, a.width),
          experts: null,
          postMlpNorm: null,
        };
      }),
      finalNorm: layerNorm('transformer.ln_f', a.width),
      head: {
        weight: a.tied ? embedding : { name: 'lm_head.weight', shape: [a.vocabulary, a.width] },
        bias: null,
        layout: 'out_in',
      },
    };
  },
  config(a) {
    const byLayer = a.layers > 1 && a.attentionScale[0] !== a.attentionScale[1];
    return {
      architectures: ['GPT2LMHeadModel'],
      model_type: 'gpt2',
      vocab_size: a.vocabulary,
      n_positions: a.context,
      n_embd: a.width,
      n_layer: a.layers,
      n_head: a.heads,
      n_inner: a.mlpWidth,
      activation_function: a.activation === 'gelu_tanh' ? 'gelu_new' : activationName(a.activation),
      layer_norm_epsilon: a.norm.eps,
      scale_attn_weights: a.headDim === 1 || a.attentionScale[0] !== 1,
      scale_attn_by_inverse_layer_idx: byLayer,
      tie_word_embeddings: a.tied,
      torch_dtype: 'float32',
    };
  },
};
