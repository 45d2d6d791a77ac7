/** Gemma Scope (Lieberum et al. 2024): `params.npz` without a configuration; JumpReLU, the bias is not subtracted. */
import type { TrainedSae } from '../../measures/evaluate.ts';
import { type SaeSource, words } from '../source.ts';

export function readGemmaScope(source: SaeSource): TrainedSae {
  const parameters = source.parameters({
    encoder: ['W_enc', false],
    decoder: ['W_dec', true],
    encoderBias: 'b_enc',
    decoderBias: 'b_dec',
  });
  const threshold = source.tensor('threshold', [parameters.width]);
  source.finish('Gemma Scope', words(''));
  return { variant: 'jumprelu', k: null, subtractBias: false, parameters: { ...parameters, threshold } };
}
