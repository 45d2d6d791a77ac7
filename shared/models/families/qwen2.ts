/** Qwen2 and Qwen2.5: Llama with biases on queries, keys and values; sliding windows in the upper layers where asked. */
import type { Architecture, Family } from '../architecture.ts';
import type { ConfigReader } from '../config-reader.ts';
import { llamaLikeConfig, llamaLikeWeights, readLlamaLike, readWindows } from './llama-like.ts';

/** Windows as Qwen configs spell them: a switch, a width and the first sliding layer. */
export function readQwenWindows(config: ConfigReader, layers: number): (number | null)[] {
  const used = config.flag('use_sliding_window', false);
  const width = config.raw('sliding_window') === undefined ? null : config.count('sliding_window');
  const firstSliding = config.number('max_window_layers', 28);
  const window = used ? (width ?? (config.has('sliding_window') ? null : 4096)) : null;
  return readWindows(config, layers, window, (layer) => window !== null && layer >= firstSliding);
}

/** The same, written. */
export function qwenWindowConfig(a: Architecture): Record<string, unknown> {
  const window = a.windows.find((w) => w !== null) ?? null;
  return {
    use_sliding_window: window !== null,
    sliding_window: window,
    layer_types: a.windows.map((w) => (w === null ? 'full_attention' : 'sliding_attention')),
  };
}

export const qwen2: Family = {
  modelType: 'qwen2',
  prefix: 'model.',
  architecture(config) {
    const base = readLlamaLike(config, 'qwen2');
    return { ...base, windows: readQwenWindows(config, base.layers), attentionBias: true };
  },
  weights: (a) => llamaLikeWeights(a),
  config: (a) => ({ ...llamaLikeConfig(a, 'Qwen2ForCausalLM'), ...qwenWindowConfig(a) }),
};
