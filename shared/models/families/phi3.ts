/** Phi-3 and Phi-4: Llama with one matrix for queries, keys and values, one for gate and up, and LongRoPE. */
import type { Family } from '../architecture.ts';
import { readRope, ropeConfig } from '../rope.ts';
import { linear, llamaLikeConfig, llamaLikeWeights, readHeads, readLlamaLike } from './llama-like.ts';

export const phi3: Family = {
  modelType: 'phi3',
  prefix: 'model.',
  architecture(config) {
    const { headDim } = readHeads(config, config.count('hidden_size'));
    const rope = readRope(config, headDim, {
      fraction: 1,
      legacyFraction: 'partial_rotary_factor',
      originalContext: 4096,
      // The names under which the first configs mean the same scaling.
      kinds: { su: 'longrope', yarn: 'longrope' },
    });
    if (rope.scaling !== null && rope.scaling.kind !== 'longrope') {
      throw config.refuse('rope_scaling', `'${rope.scaling.kind}' is not a scaling of this family`);
    }
    config.raw('original_max_position_embeddings');
    config.only('attention_bias', false);
    const base = readLlamaLike(config, 'phi3', { eps: 1e-5, context: 4096, rope });
    const window = config.raw('sliding_window') === undefined ? null : config.count('sliding_window');
    return { ...base, windows: base.windows.fill(window) };
  },
  weights: (a) =>
    llamaLikeWeights(a, (prefix) => ({
      qkv: {
        fused: linear(`${prefix}.self_attn.qkv_proj`, a.width, (a.heads + 2 * a.kvHeads) * a.headDim, false),
        order: 'blocks',
      },
      gate: null,
      up: linear(`${prefix}.mlp.gate_up_proj`, a.width, 2 * a.mlpWidth, false),
      gateInUp: true,
    })),
  config(a) {
    const scaling = a.rope?.scaling;
    return {
      ...llamaLikeConfig(a, 'Phi3ForCausalLM'),
      sliding_window: a.windows[0] ?? null,
      ...(scaling?.kind === 'longrope' && { original_max_position_embeddings: scaling.originalContext }),
      ...(a.rope && {
        rope_parameters: { ...ropeConfig(a.rope), partial_rotary_factor: a.rope.period / a.headDim },
      }),
    };
  },
};
