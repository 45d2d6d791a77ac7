/** The parameters of a sparse autoencoder as plain arrays, one row per latent in both matrices. */

/**
 * `u = (x - b) W + b_e`, `z = code(u)`, `x_hat = z D + b` (Zhu, Khalili & Zhu, "AbsTopK", arXiv:2510.00404, eq. 5; `b` is
 * subtracted from the input in the common library form).
 */
export type SaeParameters = {
  /** Width of the activations. */
  readonly inputs: number;
  /** Number of latents. */
  readonly width: number;
  /** width x inputs: row i is column i of W. */
  readonly encoder: Float32Array;
  /** width. */
  readonly encoderBias: Float32Array;
  /** width x inputs: row i is the atom of latent i. */
  readonly decoder: Float32Array;
  /** inputs. */
  readonly decoderBias: Float32Array;
  /** width, for variants with thresholds. */
  readonly threshold: Float32Array | null;
};

/** Name of the first array that holds a value that is not finite, or null. */
export function notFinite(p: SaeParameters): string | null {
  for (const name of ['encoder', 'encoderBias', 'decoder', 'decoderBias', 'threshold'] as const) {
    if (p[name]?.some((value) => !Number.isFinite(value))) {
      return name;
    }
  }
  return null;
}
