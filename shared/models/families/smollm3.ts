/** SmolLM3: Llama in which every fourth layer turns nothing, and may see a window. */
import type { Family } from '../architecture.ts';
import type { ConfigReader } from '../config-reader.ts';
import { layerTypes, llamaLikeConfig, llamaLikeWeights, readLlamaLike, readWindows } from './llama-like.ts';

/** Which layers turn their queries and keys. */
function readTurned(config: ConfigReader, layers: number): boolean[] {
  const interval = config.count('no_rope_layer_interval', 4);
  const listed = config.raw('no_rope_layers');
  if (listed === undefined) {
    return Array.from({ length: layers }, (_, layer) => (layer + 1) % interval !== 0);
  }
  if (!Array.isArray(listed) || listed.length < layers || listed.some((one) => one !== 0 && one !== 1)) {
    throw config.refuse('no_rope_layers', `must list 1 (turned) or 0 for each of ${layers} layers`);
  }
  return listed.slice(0, layers).map((one) => one === 1);
}

export const smollm3: Family = {
  modelType: 'smollm3',
  prefix: 'model.',
  architecture(config) {
    const base = readLlamaLike(config, 'smollm3', { theta: 2e6, tied: true, context: 32_768 });
    const turned = readTurned(config, base.layers);
    const window = config.raw('sliding_window') === undefined ? null : config.count('sliding_window');
    config.raw('max_window_layers'); // Published, and read by nothing: `layer_types` says which layers see a window.
    const sliding = config.flag('use_sliding_window', false) && window !== null;
    const bias = config.flag('attention_bias', false);
    return {
      ...base,
      turned: turned.map((turns) => (turns ? 'rope' : null)),
      windows: readWindows(config, base.layers, window, (layer) => sliding && !turned[layer]),
      attentionBias: bias,
      outputBias: bias,
      mlpBias: config.flag('mlp_bias', false),
    };
  },
  weights: (a) => llamaLikeWeights(a),
  config(a) {
    const window = a.windows.find((w) => w !== null) ?? null;
    return {
      ...llamaLikeConfig(a, 'SmolLM3ForCausalLM'),
      no_rope_layers: a.turned.map((kind) => (kind ? 1 : 0)),
      use_sliding_window: window !== null,
      sliding_window: window,
      layer_types: layerTypes(a),
      attention_bias: a.attentionBias,
      mlp_bias: a.mlpBias,
    };
  },
};
