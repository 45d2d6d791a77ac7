/** Moving one latent to a given value, the steering of AbsTopK (section 5: latent clamping). */

import type { SparseCodes } from '../../gpu-worker/sae/codes/sparse-codes.ts';
import { reconstruct, type TrainedSae } from '../../gpu-worker/sae/measures/evaluate.ts';

/**
 * Activations with latent i set to `value` (in the sign convention of that latent) on every token. With the error kept:
 * x + (value - z_i) D_i, so that what the autoencoder does not explain stays; without: the decoded, changed codes.
 * `where` 'active' leaves tokens on which the latent is 0 as they are.
 */
export function clampLatent(
  sae: TrainedSae,
  x: Float32Array,
  codes: SparseCodes,
  latent: number,
  value: number,
  { keepError = true, where = 'everywhere' }: { keepError?: boolean; where?: 'everywhere' | 'active' } = {},
): Float32Array {
  const { inputs, decoder } = sae.parameters;
  const out = keepError ? x.slice() : reconstruct(sae, codes);
  const atom = decoder.subarray(latent * inputs, (latent + 1) * inputs);
  for (let row = 0; row < codes.rows; row++) {
    let code = 0;
    for (let entry = codes.starts[row]!; entry < codes.starts[row + 1]!; entry++) {
      if (codes.latents[entry] === latent) {
        code = codes.values[entry]!;
      }
    }
    if (where === 'active' && code === 0) {
      continue;
    }
    const step = (value - code) * (codes.frame?.scale[row] ?? 1);
    for (let i = 0; i < inputs; i++) {
      out[row * inputs + i]! += step * atom[i]!;
    }
  }
  return out;
}
