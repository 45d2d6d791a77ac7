/** Which latent stands for a difference between two sets of texts. */
import type { SparseCodes } from '../codes/sparse-codes.ts';

type LatentChoice = {
  latent: number;
  /** Sign of the code that goes with the positive set. */
  sign: 1 | -1;
  /** |difference of means| / pooled standard deviation over tokens. */
  separation: number;
};

type Moments = { mean: Float64Array; square: Float64Array };

function moments(codes: SparseCodes, width: number): Moments {
  const [mean, square] = [new Float64Array(width), new Float64Array(width)];
  codes.values.forEach((value, entry) => {
    mean[codes.latents[entry]!]! += value / codes.rows;
    square[codes.latents[entry]!]! += (value * value) / codes.rows;
  });
  return { mean, square };
}

/** The latent with the largest |difference of means| / pooled deviation; flipping its sign changes only `sign`. */
export function separatingLatent(positive: SparseCodes, negative: SparseCodes, width: number): LatentChoice {
  const [p, n] = [moments(positive, width), moments(negative, width)];
  let best: LatentChoice = { latent: 0, sign: 1, separation: 0 };
  for (let latent = 0; latent < width; latent++) {
    const difference = p.mean[latent]! - n.mean[latent]!;
    const variance = (p.square[latent]! - p.mean[latent]! ** 2 + n.square[latent]! - n.mean[latent]! ** 2) / 2;
    if (difference === 0) {
      continue;
    }
    // A latent that is constant within both sets separates them entirely; rounding keeps the ratio finite.
    const separation = Math.abs(difference) / Math.sqrt(Math.max(variance, 1e-12 * difference ** 2));
    if (separation > best.separation) {
      best = { latent, sign: difference > 0 ? 1 : -1, separation };
    }
  }
  return best;
}
