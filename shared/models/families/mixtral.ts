/** Mixtral: Mistral whose MLPs are mixtures of experts, with the chosen ones' probabilities brought to a sum of 1. */
import type { Family } from '../architecture.ts';
import { expertsOf, llamaLikeConfig, llamaLikeWeights, readExperts, readLlamaLike } from './llama-like.ts';

const NAMES = {
  router: 'block_sparse_moe.gate',
  experts: 'block_sparse_moe.experts',
  gate: 'w1',
  up: 'w3',
  down: 'w2',
};

export const mixtral: Family = {
  modelType: 'mixtral',
  prefix: 'model.',
  architecture(config) {
    const base = readLlamaLike(config, 'mixtral', { eps: 1e-5, theta: 1e6, context: 131_072 });
    const window = config.raw('sliding_window') === undefined ? null : config.count('sliding_window');
    config.raw('router_jitter_noise'); // Noise in training.
    const experts = readExperts(config, {
      count: 8,
      perToken: 2,
      width: base.mlpWidth,
      normalised: true,
      layers: base.windows.map(() => true),
    });
    return { ...base, windows: base.windows.fill(window), experts };
  },
  weights: (a) => llamaLikeWeights(a, (prefix) => expertsOf(a, prefix, NAMES)),
  config: (a) => ({
    ...llamaLikeConfig(a, 'MixtralForCausalLM'),
    sliding_window: a.windows[0] ?? null,
    num_local_experts: a.experts?.count,
    num_experts_per_tok: a.experts?.perToken,
  }),
};
