/**
 * sparsify (EleutherAI): `cfg.json` and `sae.safetensors`. Its oldest configs name no activation, which was top-k; `signed`
 * ranked by magnitude and kept signs; `groupmax` came later.
 */
import type { TrainedSae } from '../../measures/evaluate.ts';
import { invalid, type SaeSource, unsupported, words } from '../source.ts';

const HARMLESS = words(
  'expansion_factor normalize_decoder num_latents multi_topk d_in dtype hookpoint hookpoints init_seed gram_table_hash',
);
/** Kinds that compute something else than an autoencoder's code and reconstruction. */
const OTHER_KINDS = ['transcode', 'skip_connection', 'embed_skip', 'gram_lookup'];

export const isSparsify = (source: SaeSource): boolean =>
  source.has('encoder.weight') && source.has('encoder.bias') && source.has('W_dec');

export function readSparsify(source: SaeSource): TrainedSae {
  for (const kind of OTHER_KINDS) {
    if (source.flag(kind, false)) {
      throw unsupported(`'${kind}' makes this another kind than an autoencoder`);
    }
  }
  source.field('lookup_max_order');
  if (source.has('W_skip')) {
    throw unsupported("'W_skip' makes this another kind than an autoencoder");
  }
  const activation = source.field('activation') ?? 'topk';
  const signed = source.flag('signed', false);
  if (activation !== 'topk' && activation !== 'groupmax') {
    throw unsupported(`activation '${String(activation)}'; topk and groupmax are supported`);
  }
  if (signed && activation !== 'topk') {
    throw unsupported(`signed codes of activation '${activation}'`);
  }
  const k = source.k();
  const parameters = source.parameters({
    encoder: ['encoder.weight', true],
    decoder: ['W_dec', true],
    encoderBias: 'encoder.bias',
    decoderBias: 'b_dec',
  });
  if (activation === 'groupmax' && parameters.width % k !== 0) {
    throw invalid(`groupmax needs a width that k = ${k} divides, it is ${parameters.width}`);
  }
  source.finish('sparsify', HARMLESS);
  const variant = signed ? 'abstopk' : 'topk';
  return { variant, k, subtractBias: true, parameters, ...(activation === 'groupmax' && { code: 'groupmax' }) };
}
