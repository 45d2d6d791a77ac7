/** An autoencoder with a share of its weights set to zero. */
import type { TrainedSae } from '../../sae/index.ts';
import { type Mask, masked } from '../methods/masks.ts';
import type { SaeNorms, SaeRule } from './sae-pruning.ts';
import { saeMasks } from './sae-pruning.ts';

type PrunedMatrices = 'both' | 'encoder' | 'decoder';

/** From the weights given, whatever was pruned of copies of them before; biases and thresholds stay. */
export function prunedSae(
  sae: TrainedSae,
  share: number,
  rule: SaeRule,
  norms: SaeNorms,
  matrices: PrunedMatrices = 'both',
): TrainedSae {
  const { parameters } = sae;
  const { encoder, decoder } = saeMasks(parameters, share, rule, norms);
  const keep = (w: Float32Array, mask: Mask, touched: boolean) => (touched ? masked(w, mask) : w.slice());
  return {
    ...sae,
    parameters: {
      ...parameters,
      encoder: keep(parameters.encoder, encoder, matrices !== 'decoder'),
      decoder: keep(parameters.decoder, decoder, matrices !== 'encoder'),
    },
  };
}

export const nonzeros = (w: Float32Array): number => w.reduce((count, value) => count + (value === 0 ? 0 : 1), 0);
