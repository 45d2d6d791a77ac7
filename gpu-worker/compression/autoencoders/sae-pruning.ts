/**
 * Pruning an autoencoder without training (arXiv:2507.15977, section 2.3): scores of its two matrices by the norms of what
 * goes in ((a), Wanda as it is defined) or comes out ((b), as the authors' code has it), or their magnitudes. Shares are of
 * the weights given; biases and thresholds are not touched.
 */
import { lowest, type Mask } from '../methods/masks.ts';

/** Euclidean norms over all calibration tokens. */
export type SaeNorms = {
  /** Of each input. */
  x: Float64Array;
  /** Of each latent's pre-activation and of its code. */
  pre: Float64Array;
  codes: Float64Array;
  /** Of each coordinate of the reconstruction. */
  reconstruction: Float64Array;
};

export type SaeRule = 'canonical' | 'output_norms' | 'magnitude_matrix' | 'magnitude_latent';

/** Encoder and decoder, both [width, inputs]: one row a latent. */
type SaeMatrices = { inputs: number; width: number; encoder: Float32Array; decoder: Float32Array };

/** What is zeroed of both matrices. */
export function saeMasks(
  sae: SaeMatrices,
  share: number,
  rule: SaeRule,
  norms: SaeNorms | null,
): { encoder: Mask; decoder: Mask } {
  const { inputs, width, encoder, decoder } = sae;
  const byLatent = (w: Float32Array, score: (latent: number, input: number) => number): Mask =>
    lowest(scored(w, inputs, score), inputs, share, 'row');
  /** Groups are inputs: latents compete for each coordinate. */
  const byInput = (w: Float32Array, score: (latent: number, input: number) => number): Mask => {
    const flipped = new Float64Array(w.length);
    const values = scored(w, inputs, score);
    for (let p = 0; p < width; p++) {
      for (let i = 0; i < inputs; i++) {
        flipped[i * width + p] = values[p * inputs + i]!;
      }
    }
    const mask = lowest(flipped, width, share, 'row');
    const out = new Uint8Array(w.length);
    for (let p = 0; p < width; p++) {
      for (let i = 0; i < inputs; i++) {
        out[p * inputs + i] = mask[i * width + p]!;
      }
    }
    return out;
  };
  switch (rule) {
    case 'canonical':
      return {
        encoder: byLatent(encoder, (_, i) => norms!.x[i]!),
        decoder: byInput(decoder, (p) => norms!.codes[p]!),
      };
    case 'output_norms':
      return {
        encoder: byInput(encoder, (p) => norms!.pre[p]!),
        decoder: byLatent(decoder, (_, i) => norms!.reconstruction[i]!),
      };
    case 'magnitude_latent':
      return { encoder: byLatent(encoder, () => 1), decoder: byLatent(decoder, () => 1) };
    case 'magnitude_matrix':
      return {
        encoder: wholeMatrix(encoder, inputs, width, share),
        decoder: lowest(
          scored(decoder, inputs, () => 1),
          inputs,
          share,
          'matrix',
        ),
      };
    default:
      return rule satisfies never;
  }
}

/** Ties of a whole encoder fall in the order of its stored form, inputs outermost. */
function wholeMatrix(encoder: Float32Array, inputs: number, width: number, share: number): Mask {
  const stored = new Float64Array(encoder.length);
  for (let p = 0; p < width; p++) {
    for (let i = 0; i < inputs; i++) {
      stored[i * width + p] = Math.abs(encoder[p * inputs + i]!);
    }
  }
  const mask = lowest(stored, width, share, 'matrix');
  return Uint8Array.from({ length: encoder.length }, (_, at) => mask[(at % inputs) * width + Math.floor(at / inputs)]!);
}

function scored(w: Float32Array, inputs: number, score: (latent: number, input: number) => number): Float64Array {
  const out = new Float64Array(w.length);
  for (let at = 0; at < w.length; at++) {
    out[at] = Math.abs(w[at]!) * score(Math.floor(at / inputs), at % inputs);
  }
  return out;
}
