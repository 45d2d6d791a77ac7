/** GPT-NeoX (Pythia): layer norms, partial rotary embedding, attention and MLP in parallel or in turn, untied head. */
import type { Architecture, Family, Rope } from '../architecture.ts';
import type { ConfigReader } from '../config-reader.ts';
import { readRope, ropeConfig } from '../rope.ts';
import { activationName, linear, readActivation } from './llama-like.ts';

const layerNorm = (name: string, width: number) => ({
  weight: { name: `${name}.weight`, shape: [width] },
  bias: { name: `${name}.bias`, shape: [width] },
});

/**
 * Versions 4.45 and later of the publishers' library write both its old and its usual names, and read the old ones.
 * @throws SextantError `model_unsupported` as `readRope`, and where the two say different things
 */
function readBothRopes(config: ConfigReader, headDim: number): Rope {
  const rope = readRope(config, headDim, {
    fraction: 0.25,
    legacyTheta: 'rotary_emb_base',
    legacyFraction: 'rotary_pct',
  });
  const [theta, fraction] = [config.raw('rope_theta') ?? rope.theta, config.raw('partial_rotary_factor')];
  if (theta !== rope.theta) {
    throw config.refuse('rope_theta', `is ${String(theta)} where 'rotary_emb_base' or its default is ${rope.theta}`);
  }
  if (fraction !== undefined && Math.trunc(Number(fraction) * headDim) !== rope.period) {
    throw config.refuse(
      'partial_rotary_factor',
      `is ${String(fraction)} where 'rotary_pct' or its default turns ${rope.period} of ${headDim}`,
    );
  }
  return rope;
}

export const gptNeox: Family = {
  modelType: 'gpt_neox',
  prefix: 'gpt_neox.',
  aliases: { 'embed_out.weight': 'lm_head.weight' },
  architecture(config): Architecture {
    const width = config.count('hidden_size');
    const layers = config.parts('num_hidden_layers');
    const heads = config.parts('num_attention_heads');
    if (width % heads !== 0) {
      throw config.refuse('num_attention_heads', `must divide the width ${width}`);
    }
    const headDim = width / heads;
    const bias = config.flag('attention_bias', true);
    return {
      family: 'gpt_neox',
      layers,
      width,
      heads,
      kvHeads: heads,
      headDim,
      mlpWidth: config.count('intermediate_size'),
      vocabulary: config.count('vocab_size'),
      context: config.count('max_position_embeddings', 2048),
      norm: { kind: 'layer', eps: config.number('layer_norm_eps', 1e-5), weightOffset: 0 },
      activation: readActivation(config, 'hidden_act', 'gelu'),
      rope: readBothRopes(config, headDim),
      localRope: null,
      turned: new Array<'rope'>(layers).fill('rope'),
      parallel: config.flag('use_parallel_residual', true),
      attentionScale: new Array<number>(layers).fill(headDim ** -0.5),
      attentionCap: null,
      logitCap: null,
      windows: new Array<null>(layers).fill(null),
      embeddingScale: 1,
      paddingToken: null,
      tied: config.flag('tie_word_embeddings', false),
      attentionBias: bias,
      outputBias: bias,
      mlpBias: true,
      experts: null,
    };
  },
  weights(a) {
    const embedding = { name: 'gpt_neox.embed_in.weight', shape: [a.vocabulary, a.width] };
    return {
      embedding,
      positions: null,
      layers: Array.from({ length: a.layers }, (_, index) => {
        const prefix = `gpt_neox.layers.${index}`;
        return {
          attentionNorm: layerNorm(`${prefix}.input_layernorm`, a.width),
          qkv: {
            fused: linear(`${prefix}.attention.query_key_value`, a.width, 3 * a.width, a.attentionBias),
            order: 'heads' as const,
          },
          queryNorm: null,
          keyNorm: null,
          attentionSubNorm: null,
          output: linear(`${prefix}.attention.dense`, a.width, a.width, a.outputBias),
          postAttentionNorm: null,
          mlpNorm: layerNorm(`${prefix}.post_attention_layernorm`, a.width),
          gate: null,
          up: linear(`${prefix}.mlp.dense_h_to_4h`, a.width, a.mlpWidth, true),
          gateInUp: false,
          mlpSubNorm: null,
          down: linear(`${prefix}.mlp.dense_4h_to_h`, a.mlpWidth, a.width, true),
          experts: null,
          postMlpNorm: null,
        };
      }),
      finalNorm: layerNorm('gpt_neox.final_layer_norm', a.width),
      head: {
        weight: a.tied ? embedding : { name: 'embed_out.weight', shape: [a.vocabulary, a.width] },
        bias: null,
        layout: 'out_in',
      },
    };
  },
  config: (a) => ({
    architectures: ['GPTNeoXForCausalLM'],
    model_type: 'gpt_neox',
    vocab_size: a.vocabulary,
    hidden_size: a.width,
    intermediate_size: a.mlpWidth,
    num_hidden_layers: a.layers,
    num_attention_heads: a.heads,
    hidden_act: activationName(a.activation),
    max_position_embeddings: a.context,
    layer_norm_eps: a.norm.eps,
    use_parallel_residual: a.parallel,
    attention_bias: a.attentionBias,
    rope_parameters: { ...ropeConfig(a.rope!), partial_rotary_factor: a.rope!.period / a.headDim },
    rotary_pct: a.rope!.period / a.headDim,
    rotary_emb_base: a.rope!.theta,
    tie_word_embeddings: a.tied,
    torch_dtype: 'float32',
  }),
};
