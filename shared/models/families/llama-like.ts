/** What the families that descend from Llama share: field names, tensor names, RMS norms and gated MLPs. */
import type {
  Activation,
  Architecture,
  Experts,
  LayerWeights,
  Linear,
  ModelWeights,
  Norm,
  Rope,
} from '../architecture.ts';
import type { ConfigReader } from '../config-reader.ts';
import { readRope, ropeConfig } from '../rope.ts';

/** Names that configs use for the activations. */
const ACTIVATION_NAMES: Record<string, Activation> = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_python: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_fast: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  relu: 'relu',
  relu2: 'relu2',
};

/** The activation that a config names. @throws SextantError `model_unsupported` */
export function readActivation(config: ConfigReader, field: string, fallback: string): Activation {
  return ACTIVATION_NAMES[config.choice(field, Object.keys(ACTIVATION_NAMES), fallback)]!;
}

/** The name under which a config is written. */
export const activationName = (activation: Activation): string =>
  activation === 'gelu_tanh' ? 'gelu_pytorch_tanh' : activation;

type Heads = { heads: number; kvHeads: number; headDim: number };

/** Heads and key/value heads, checked. */
export function readHeads(config: ConfigReader, width: number, defaults: Partial<Heads> = {}): Heads {
  const heads = config.parts('num_attention_heads', defaults.heads);
  const kvHeads = config.parts('num_key_value_heads', defaults.kvHeads ?? heads);
  const headDim = config.raw('head_dim') === undefined ? (defaults.headDim ?? width / heads) : config.count('head_dim');
  if (heads % kvHeads !== 0) {
    throw config.refuse('num_key_value_heads', `must divide the ${heads} attention heads`);
  }
  if (!Number.isInteger(headDim)) {
    throw config.refuse('hidden_size', `${width} is not a multiple of ${heads} heads`);
  }
  return { heads, kvHeads, headDim };
}

/** The architecture of a Llama-like config whose family changes only `defaults`. */
export function readLlamaLike(
  config: ConfigReader,
  family: string,
  defaults: {
    activation?: string;
    activationField?: string;
    eps?: number;
    theta?: number;
    tied?: boolean;
    context?: number;
    heads?: Partial<Heads>;
    /** Where it was read already. */
    rope?: Rope;
  } = {},
): Architecture {
  const width = config.count('hidden_size');
  const layers = config.parts('num_hidden_layers');
  const { heads, kvHeads, headDim } = readHeads(config, width, defaults.heads);
  const vocabulary = config.count('vocab_size');
  const context = config.count('max_position_embeddings', defaults.context ?? 2048);
  const rope = defaults.rope ?? readRope(config, headDim, defaults.theta ? { theta: defaults.theta } : {});
  return {
    family,
    layers,
    width,
    heads,
    kvHeads,
    headDim,
    mlpWidth: config.count('intermediate_size'),
    vocabulary,
    // What this scaling is for are texts beyond the positions that the config names.
    context: rope.scaling?.kind === 'dynamic' ? Math.floor(context * rope.scaling.factor) : context,
    norm: { kind: 'rms', eps: config.number('rms_norm_eps', defaults.eps ?? 1e-6), weightOffset: 0 },
    activation: readActivation(config, defaults.activationField ?? 'hidden_act', defaults.activation ?? 'silu'),
    rope,
    localRope: null,
    turned: new Array<'rope'>(layers).fill('rope'),
    parallel: false,
    attentionScale: new Array<number>(layers).fill(headDim ** -0.5),
    attentionCap: null,
    logitCap: null,
    windows: new Array<number | null>(layers).fill(null),
    embeddingScale: 1,
    paddingToken: readPadding(config, vocabulary),
    tied: config.flag('tie_word_embeddings', defaults.tied ?? false),
    attentionBias: false,
    outputBias: false,
    mlpBias: false,
    experts: null,
  };
}

/** The padding token; a negative id counts from the end of the vocabulary. */
function readPadding(config: ConfigReader, vocabulary: number): number | null {
  if (config.raw('pad_token_id') === undefined) {
    return null;
  }
  const id = config.number('pad_token_id');
  const row = id < 0 ? vocabulary + id : id;
  if (!Number.isInteger(row) || row < 0 || row >= vocabulary) {
    throw config.refuse('pad_token_id', `${id} is not a token of a vocabulary of ${vocabulary}`);
  }
  return row;
}

/**
 * Windows by layer from `layer_types`, or where that is absent from `sliding(layer)`.
 * @throws SextantError `model_unsupported` for a kind of layer that is neither full nor sliding attention
 */
export function readWindows(
  config: ConfigReader,
  layers: number,
  window: number | null,
  sliding: (layer: number) => boolean,
): (number | null)[] {
  const types = config.raw('layer_types');
  if (types === undefined) {
    return Array.from({ length: layers }, (_, layer) => (sliding(layer) ? window : null));
  }
  if (!Array.isArray(types) || types.length !== layers) {
    throw config.refuse('layer_types', `must list ${layers} layers`);
  }
  return types.map((type: unknown) => {
    if (type === 'full_attention') {
      return null;
    }
    if (type !== 'sliding_attention') {
      throw config.refuse('layer_types', `'${String(type)}' is not supported`);
    }
    if (window === null) {
      throw config.refuse('sliding_window', 'is required by a sliding layer');
    }
    return window;
  });
}

/** A projection stored [out, in]. */
export const linear = (name: string, inputs: number, outputs: number, bias: boolean): Linear => ({
  weight: { name: `${name}.weight`, shape: [outputs, inputs] },
  bias: bias ? { name: `${name}.bias`, shape: [outputs] } : null,
  layout: 'out_in',
});

export const rmsNorm = (name: string, width: number): Norm => ({
  weight: { name: `${name}.weight`, shape: [width] },
  bias: null,
});

/** The tensors of a Llama-like model; `adjust` changes one layer's. */
export function llamaLikeWeights(
  a: Architecture,
  adjust: (prefix: string, layer: LayerWeights, index: number) => Partial<LayerWeights> = () => ({}),
): ModelWeights {
  const layers = Array.from({ length: a.layers }, (_, index) => {
    const prefix = `model.layers.${index}`;
    const layer: LayerWeights = {
      attentionNorm: rmsNorm(`${prefix}.input_layernorm`, a.width),
      qkv: {
        q: linear(`${prefix}.self_attn.q_proj`, a.width, a.heads * a.headDim, a.attentionBias),
        k: linear(`${prefix}.self_attn.k_proj`, a.width, a.kvHeads * a.headDim, a.attentionBias),
        v: linear(`${prefix}.self_attn.v_proj`, a.width, a.kvHeads * a.headDim, a.attentionBias),
      },
      queryNorm: null,
      keyNorm: null,
      attentionSubNorm: null,
      output: linear(`${prefix}.self_attn.o_proj`, a.heads * a.headDim, a.width, a.outputBias),
      postAttentionNorm: null,
      mlpNorm: rmsNorm(`${prefix}.post_attention_layernorm`, a.width),
      gate: linear(`${prefix}.mlp.gate_proj`, a.width, a.mlpWidth, a.mlpBias),
      up: linear(`${prefix}.mlp.up_proj`, a.width, a.mlpWidth, a.mlpBias),
      gateInUp: false,
      mlpSubNorm: null,
      down: linear(`${prefix}.mlp.down_proj`, a.mlpWidth, a.width, a.mlpBias),
      experts: null,
      postMlpNorm: null,
    };
    return { ...layer, ...adjust(prefix, layer, index) };
  });
  const embedding = { name: 'model.embed_tokens.weight', shape: [a.vocabulary, a.width] };
  return {
    embedding,
    positions: null,
    layers,
    finalNorm: rmsNorm('model.norm', a.width),
    head: {
      weight: a.tied ? embedding : { name: 'lm_head.weight', shape: [a.vocabulary, a.width] },
      bias: null,
      layout: 'out_in',
    },
  };
}

/** The mixture of experts of a config; `usual` where it says nothing. */
export function readExperts(config: ConfigReader, usual: Experts): Experts {
  for (const field of ['output_router_logits', 'router_aux_loss_coef']) {
    config.raw(field); // Of training.
  }
  const [count, other] = ['num_experts', 'num_local_experts'].map((field) =>
    config.raw(field) === undefined ? undefined : config.parts(field),
  );
  if (count !== undefined && other !== undefined && count !== other) {
    throw config.refuse('num_experts', `is ${count} where num_local_experts is ${other}`);
  }
  const experts = count ?? other ?? usual.count;
  return { ...usual, count: experts, perToken: config.count('num_experts_per_tok', usual.perToken, experts) };
}

/** The experts of a layer, by the names of a family. */
export function expertsOf(
  { width, experts }: Architecture,
  prefix: string,
  names: { router: string; experts: string; gate: string; up: string; down: string },
): Partial<LayerWeights> {
  const { count, width: inner } = experts ?? { count: 0, width: 0 };
  return {
    gate: null,
    up: null,
    down: null,
    experts: {
      router: linear(`${prefix}.${names.router}`, width, count, false),
      each: Array.from({ length: count }, (_, expert) => ({
        gate: linear(`${prefix}.${names.experts}.${expert}.${names.gate}`, width, inner, false),
        up: linear(`${prefix}.${names.experts}.${expert}.${names.up}`, width, inner, false),
        down: linear(`${prefix}.${names.experts}.${expert}.${names.down}`, inner, width, false),
      })),
    },
  };
}

/** The kinds of attention by layer, as configs name them. */
export const layerTypes = ({ windows }: Architecture): string[] =>
  windows.map((window) => (window === null ? 'full_attention' : 'sliding_attention'));

/** The fields of `config.json` that Llama-like models share. */
export function llamaLikeConfig(a: Architecture, className: string): Record<string, unknown> {
  return {
    architectures: [className],
    model_type: a.family,
    vocab_size: a.vocabulary,
    hidden_size: a.width,
    intermediate_size: a.mlpWidth,
    num_hidden_layers: a.layers,
    num_attention_heads: a.heads,
    num_key_value_heads: a.kvHeads,
    head_dim: a.headDim,
    hidden_act: activationName(a.activation),
    max_position_embeddings: a.rope?.scaling?.kind === 'dynamic' ? a.rope.scaling.context : a.context,
    rms_norm_eps: a.norm.eps,
    ...(a.rope ? { rope_theta: a.rope.theta, rope_parameters: ropeConfig(a.rope) } : {}),
    ...(a.paddingToken === null ? {} : { pad_token_id: a.paddingToken }),
    tie_word_embeddings: a.tied,
    torch_dtype: 'float32',
  };
}
