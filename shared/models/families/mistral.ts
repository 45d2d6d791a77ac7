/** Mistral 7B: Llama with a sliding window over every layer. */
import type { Family } from '../architecture.ts';
import { llamaLikeConfig, llamaLikeWeights, readLlamaLike } from './llama-like.ts';

export const mistral: Family = {
  modelType: 'mistral',
  prefix: 'model.',
  architecture(config) {
    const base = readLlamaLike(config, 'mistral');
    // The publisher's library takes 4096 where the field is not written, and no window where it is null.
    const window = config.has('sliding_window')
      ? config.raw('sliding_window') === undefined
        ? null
        : config.count('sliding_window')
      : 4096;
    return { ...base, windows: new Array<number | null>(base.layers).fill(window) };
  },
  weights: (a) => llamaLikeWeights(a),
  config: (a) => ({ ...llamaLikeConfig(a, 'MistralForCausalLM'), sliding_window: a.windows[0] ?? null }),
};
