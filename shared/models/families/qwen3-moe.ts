/** Qwen3 with mixtures of experts in place of MLPs, in all layers or in some. */
import type { Family } from '../architecture.ts';
import type { ConfigReader } from '../config-reader.ts';
import { expertsOf, llamaLikeConfig, llamaLikeWeights, readExperts, readLlamaLike, rmsNorm } from './llama-like.ts';

const NAMES = { router: 'mlp.gate', experts: 'mlp.experts', gate: 'gate_proj', up: 'up_proj', down: 'down_proj' };

/** Which layers have experts. */
function readSparse(config: ConfigReader, layers: number): boolean[] {
  const step = config.count('decoder_sparse_step', 1);
  const dense = config.raw('mlp_only_layers') ?? [];
  if (!Array.isArray(dense) || dense.some((layer) => !Number.isInteger(layer))) {
    throw config.refuse('mlp_only_layers', 'must list numbers of layers');
  }
  return Array.from({ length: layers }, (_, layer) => (layer + 1) % step === 0 && !dense.includes(layer));
}

export const qwen3Moe: Family = {
  modelType: 'qwen3_moe',
  prefix: 'model.',
  architecture(config) {
    const base = readLlamaLike(config, 'qwen3_moe', { context: 32_768 });
    const bias = config.flag('attention_bias', false);
    config.raw('max_window_layers'); // Of its relatives: here a window is all layers' or none's.
    const width = config.raw('sliding_window') === undefined ? null : config.count('sliding_window');
    const window = config.flag('use_sliding_window', false)
      ? (width ?? (config.has('sliding_window') ? null : 4096))
      : null;
    const experts = readExperts(config, {
      count: 128,
      perToken: 8,
      width: config.count('moe_intermediate_size', 768),
      normalised: config.flag('norm_topk_prob', false),
      layers: readSparse(config, base.layers),
    });
    return { ...base, windows: base.windows.fill(window), attentionBias: bias, outputBias: bias, experts };
  },
  weights: (a) =>
    llamaLikeWeights(a, (prefix, _, index) => ({
      queryNorm: rmsNorm(`${prefix}.self_attn.q_norm`, a.headDim),
      keyNorm: rmsNorm(`${prefix}.self_attn.k_norm`, a.headDim),
      ...(a.experts?.layers[index] && expertsOf(a, prefix, NAMES)),
    })),
  config: (a) => ({
    ...llamaLikeConfig(a, 'Qwen3MoeForCausalLM'),
    attention_bias: a.attentionBias,
    use_sliding_window: (a.windows[0] ?? null) !== null,
    sliding_window: a.windows[0] ?? null,
    num_experts: a.experts?.count,
    num_experts_per_tok: a.experts?.perToken,
    moe_intermediate_size: a.experts?.width,
    norm_topk_prob: a.experts?.normalised,
    mlp_only_layers: (a.experts?.layers ?? []).flatMap((sparse, layer) => (sparse ? [] : [layer])),
  }),
};
