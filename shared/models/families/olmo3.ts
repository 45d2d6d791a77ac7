/** OLMo 3: OLMo 2 with three layers that see a window for each that sees all, which alone may have a scaled embedding. */
import type { Family } from '../architecture.ts';
import { readLayeredRopes, ropeConfig } from '../rope.ts';
import { layerTypes, llamaLikeConfig, llamaLikeWeights, readHeads, readLlamaLike, readWindows } from './llama-like.ts';
import { olmoNorms } from './olmo2.ts';

/** Every so many layers one sees all. */
const PATTERN = 4;
const THETA = 5e5;

export const olmo3: Family = {
  modelType: 'olmo3',
  prefix: 'model.',
  architecture(config) {
    const heads = readHeads(config, config.count('hidden_size'));
    const { rope, localRope } = readLayeredRopes(config, heads.headDim, {
      theta: THETA,
      local: { theta: THETA, legacyTheta: 'rope_theta' },
    });
    const base = readLlamaLike(config, 'olmo3', { eps: 1e-5, rope });
    const bias = config.flag('attention_bias', false);
    const window = config.count('sliding_window', 4096);
    const windows = readWindows(config, base.layers, window, (layer) => (layer + 1) % PATTERN > 0);
    return {
      ...base,
      localRope,
      turned: windows.map((own) => (own === null ? 'rope' : 'localRope')),
      windows,
      attentionBias: bias,
      outputBias: bias,
    };
  },
  weights: (a) => llamaLikeWeights(a, olmoNorms(a)),
  config(a) {
    const { rope_theta: _theta, ...rest } = llamaLikeConfig(a, 'Olmo3ForCausalLM');
    return {
      ...rest,
      attention_bias: a.attentionBias,
      sliding_window: a.windows.find((w) => w !== null) ?? 4096,
      layer_types: layerTypes(a),
      rope_parameters: {
        full_attention: a.rope && ropeConfig(a.rope),
        sliding_attention: a.localRope && ropeConfig(a.localRope),
      },
    };
  },
};
