/**
 * OpenAI's `sparse_autoencoder` (Gao et al. 2024): the state of its `Autoencoder`, whose activation is named beside the
 * tensors. Top-k autoencoders normalise each input and undo that after decoding, unless the config says otherwise.
 */
import type { TrainedSae } from '../../measures/evaluate.ts';
import { isRecord, type SaeSource, unsupported, words } from '../source.ts';

const STATISTICS = ['stats_last_nonzero', 'latents_activation_frequency', 'latents_mean_square'];
const HARMLESS = words('k n_latents n_inputs d_model n_dirs tied layer location hook model_name version dtype');

export const isOpenAi = (source: SaeSource): boolean => source.has('pre_bias') && source.has('latent_bias');

export function readOpenAi(source: SaeSource): TrainedSae {
  const activation = source.field('activation') ?? 'ReLU';
  const state = source.field('activation_state_dict');
  const after = source.field('postact_fn') ?? (isRecord(state) ? state.postact_fn : undefined) ?? 'ReLU';
  if (after !== 'ReLU' && after !== 'Identity') {
    throw unsupported(`postact_fn '${String(after)}'`);
  }
  const normalise = source.flag('normalize', activation === 'TopK');
  source.passOver(...STATISTICS);
  const tied = !source.has('decoder.weight');
  const parameters = source.parameters({
    encoder: ['encoder.weight', true],
    decoder: tied
      ? [source.has('decoder.linear.weight') ? 'decoder.linear.weight' : 'encoder.weight', true]
      : ['decoder.weight', false],
    encoderBias: 'latent_bias',
    decoderBias: 'pre_bias',
  });
  const base = { subtractBias: true, parameters, ...(normalise && { normalisation: 'layer_norm' as const }) };
  let sae: TrainedSae;
  if (activation === 'TopK') {
    const k = isRecord(state) && typeof state.k === 'number' ? state.k : source.k();
    sae = { ...base, variant: 'topk', k, ...(after === 'Identity' && { code: 'largest_k' as const }) };
  } else if (activation === 'ReLU') {
    sae = { ...base, variant: 'relu', k: null };
  } else if (activation === 'Identity') {
    sae = { ...base, variant: 'relu', k: null, code: 'linear' };
  } else {
    throw unsupported(`activation '${String(activation)}'; ReLU, TopK and Identity are supported`);
  }
  source.finish('OpenAI', HARMLESS);
  return sae;
}
