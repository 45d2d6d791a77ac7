/** Directions from two sets of activations: the difference of their means, added or removed. */
import { SextantError } from '../../shared/contracts/problem.ts';

export type DifferenceInMeans = {
  /** Unit vector from the negative to the positive mean. */
  direction: Float32Array;
  /** Distance of the means. */
  distance: number;
  positiveMean: Float64Array;
  negativeMean: Float64Array;
};

/** Mean of rows x width activations, in float64. Raises SextantError `data_invalid` for no rows. */
export function meanActivation(x: Float32Array, width: number): Float64Array {
  const rows = x.length / width;
  if (rows === 0) throw new SextantError('data_invalid', 'no activations to average');
  const mean = new Float64Array(width);
  for (let i = 0; i < x.length; i++) mean[i % width]! += x[i]!;
  return mean.map((sum) => sum / rows);
}

/** (mean of positive - mean of negative), normalised. Raises SextantError `data_invalid` where the means are equal. */
export function differenceInMeans(positive: Float32Array, negative: Float32Array, width: number): DifferenceInMeans {
  const [positiveMean, negativeMean] = [meanActivation(positive, width), meanActivation(negative, width)];
  return { ...directionBetween(negativeMean, positiveMean), positiveMean, negativeMean };
}

/** Unit vector from one point to another, and their distance. Raises SextantError `data_invalid` where they are equal. */
export function directionBetween(
  from: ArrayLike<number>,
  to: ArrayLike<number>,
): { direction: Float32Array; distance: number } {
  const difference = Float64Array.from({ length: to.length }, (_, i) => to[i]! - from[i]!);
  const distance = Math.sqrt(difference.reduce((sum, value) => sum + value * value, 0));
  if (!(distance > 0)) {
    throw new SextantError('data_invalid', 'the two sets have the same mean: there is no direction between them');
  }
  return { direction: Float32Array.from(difference, (value) => value / distance), distance };
}

/** x - (x . v) v for every row: directional ablation. */
export function ablate(x: Float32Array, direction: Float32Array): Float32Array {
  const width = direction.length;
  const out = x.slice();
  for (let row = 0; row < x.length; row += width) {
    let along = 0;
    for (let i = 0; i < width; i++) along += x[row + i]! * direction[i]!;
    for (let i = 0; i < width; i++) out[row + i]! -= along * direction[i]!;
  }
  return out;
}
