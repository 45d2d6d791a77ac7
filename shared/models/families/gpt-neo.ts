/**
 * GPT-Neo (the TinyStories models): GPT-2 with weights stored [out, in], queries, keys and values apart and without biases,
 * scores that are not scaled, and windows on some of the layers.
 */
import type { Architecture, Family, Norm } from '../architecture.ts';
import type { ConfigReader } from '../config-reader.ts';
import { activationName, linear, readActivation } from './llama-like.ts';

const layerNorm = (name: string, width: number): Norm => ({
  weight: { name: `${name}.weight`, shape: [width] },
  bias: { name: `${name}.bias`, shape: [width] },
});

/** Kinds of attention by layer, from lists of kinds with how often each list comes. */
function readKinds(config: ConfigReader, layers: number): string[] {
  const written = config.raw('attention_layers'); // Where it is written beside the types, it wins.
  if (written !== undefined) {
    if (
      Array.isArray(written) &&
      written.length === layers &&
      written.every((kind) => kind === 'global' || kind === 'local')
    ) {
      config.raw('attention_types');
      return written as string[];
    }
    throw config.refuse('attention_layers', `must list ${layers} layers, each 'global' or 'local'`);
  }
  const types = config.raw('attention_types') ?? [[['global', 'local'], 12]];
  const kinds: string[] = [];
  for (const entry of Array.isArray(types) ? types : [null]) {
    const [list, times] = Array.isArray(entry) ? (entry as [unknown, unknown]) : [null, null];
    const known = Array.isArray(list) && list.every((kind) => kind === 'global' || kind === 'local');
    if (!known || typeof times !== 'number' || !Number.isInteger(times) || times < 1 || times > layers) {
      throw config.refuse(
        'attention_types',
        "must list kinds, 'global' and 'local', each list with how often it comes",
      );
    }
    for (let i = 0; i < times; i++) {
      kinds.push(...(list as string[]));
    }
  }
  if (kinds.length !== layers) {
    throw config.refuse('attention_types', `has ${kinds.length} layers where num_layers is ${layers}`);
  }
  return kinds;
}

export const gptNeo: Family = {
  modelType: 'gpt_neo',
  prefix: 'transformer.',
  architecture(config): Architecture {
    const width = config.count('hidden_size', 2048);
    const layers = config.parts('num_layers', 24);
    const heads = config.parts('num_heads', 16);
    if (width % heads !== 0) {
      throw config.refuse('num_heads', `must divide the width ${width}`);
    }
    config.raw('resid_dropout');
    const window = config.count('window_size', 256);
    return {
      family: 'gpt_neo',
      layers,
      width,
      heads,
      kvHeads: heads,
      headDim: width / heads,
      mlpWidth: config.raw('intermediate_size') === undefined ? 4 * width : config.count('intermediate_size'),
      vocabulary: config.count('vocab_size', 50257),
      context: config.count('max_position_embeddings', 2048),
      norm: { kind: 'layer', eps: config.number('layer_norm_epsilon', 1e-5), weightOffset: 0 },
      activation: readActivation(config, 'activation_function', 'gelu_new'),
      rope: null,
      localRope: null,
      turned: new Array<null>(layers).fill(null),
      parallel: false,
      attentionScale: new Array<number>(layers).fill(1),
      attentionCap: null,
      logitCap: null,
      windows: readKinds(config, layers).map((kind) => (kind === 'local' ? window : null)),
      embeddingScale: 1,
      paddingToken: null,
      tied: config.flag('tie_word_embeddings', true),
      attentionBias: false,
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
        const own = (name: string, bias: boolean) => linear(`${prefix}.attn.attention.${name}`, a.width, a.width, bias);
        return {
          attentionNorm: layerNorm(`${prefix}.ln_1`, a.width),
          qkv: { q: own('q_proj', false), k: own('k_proj', false), v: own('v_proj', false) },
          queryNorm: null,
          keyNorm: null,
          attentionSubNorm: null,
          output: own('out_proj', true),
          postAttentionNorm: null,
          mlpNorm: layerNorm(`${prefix}.ln_2`, a.width),
          gate: null,
          up: linear(`${prefix}.mlp.c_fc`, a.width, a.mlpWidth, true),
          gateInUp: false,
          mlpSubNorm: null,
          down: linear(`${prefix}.mlp.c_proj`, a.mlpWidth, a.width, true),
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
  config: (a) => ({
    architectures: ['GPTNeoForCausalLM'],
    model_type: 'gpt_neo',
    vocab_size: a.vocabulary,
    max_position_embeddings: a.context,
    hidden_size: a.width,
    num_layers: a.layers,
    num_heads: a.heads,
    intermediate_size: a.mlpWidth,
    activation_function: a.activation === 'gelu_tanh' ? 'gelu_new' : activationName(a.activation),
    layer_norm_epsilon: a.norm.eps,
    window_size: a.windows.find((window) => window !== null) ?? 256,
    attention_types: [[a.windows.map((window) => (window === null ? 'global' : 'local')), 1]],
    tie_word_embeddings: a.tied,
    torch_dtype: 'float32',
  }),
};
