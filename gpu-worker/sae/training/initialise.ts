/** Parameters before training, and the statistics of activations that they depend on. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { stream } from '../../../shared/math/random.ts';
import type { SaeParameters } from '../codes/parameters.ts';
import { VARIANTS } from '../codes/variants.ts';
import type { SaeConfiguration } from './configuration.ts';

/**
 * Random unit rows for the decoder, the same rows times `encoderScale` for the encoder, zero encoder bias, and the given
 * decoder bias (Gao et al. 2024; zero if absent).
 */
export function initialise(
  configuration: SaeConfiguration,
  seed: number,
  decoderBias?: ArrayLike<number>,
): SaeParameters {
  const { inputs, width } = configuration;
  const decoder = stream(seed, 'sae/decoder').normal32(width * inputs);
  for (let row = 0; row < width; row++) {
    normalise(decoder.subarray(row * inputs, (row + 1) * inputs));
  }
  return {
    inputs,
    width,
    encoder: decoder.map((value) => configuration.encoderScale * value),
    encoderBias: new Float32Array(width),
    decoder,
    decoderBias: decoderBias ? Float32Array.from(decoderBias) : new Float32Array(inputs),
    threshold: VARIANTS[configuration.variant].learnsThreshold
      ? new Float32Array(width).fill(configuration.threshold)
      : null,
  };
}

function normalise(row: Float32Array): void {
  const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
  for (let i = 0; i < row.length; i++) {
    row[i] = row[i]! / norm;
  }
}

type ActivationStatistics = {
  rows: number;
  /** Mean of each coordinate. */
  mean: Float64Array;
  /** Mean of |x|^2. */
  meanSquare: number;
  /** Mean of |x - mean|^2: the denominator of the fraction of variance unexplained. */
  variance: number;
};

/** Statistics of rows x width activations, in float64. */
export function activationStatistics(x: Float32Array, width: number): ActivationStatistics {
  const rows = x.length / width;
  const mean = new Float64Array(width);
  let square = 0;
  for (let i = 0; i < x.length; i++) {
    mean[i % width]! += x[i]!;
    square += x[i]! * x[i]!;
  }
  for (let i = 0; i < width; i++) {
    mean[i]! /= rows;
  }
  let variance = 0;
  for (let i = 0; i < x.length; i++) {
    variance += (x[i]! - mean[i % width]!) ** 2;
  }
  return { rows, mean, meanSquare: square / rows, variance: variance / rows };
}

/**
 * The point with the least summed distance to the rows, by Weiszfeld's iteration from the mean. Less moved by a few
 * huge tokens than the mean is. Ends when a step moves it by less than 1e-6 of the rows' mean distance.
 */
export function geometricMedian(x: Float32Array, width: number, iterations = 100): Float64Array {
  const rows = x.length / width;
  let centre = activationStatistics(x, width).mean;
  for (let round = 0; round < iterations; round++) {
    const next = new Float64Array(width);
    let weights = 0;
    let distances = 0;
    for (let row = 0; row < rows; row++) {
      let square = 0;
      for (let i = 0; i < width; i++) {
        square += (x[row * width + i]! - centre[i]!) ** 2;
      }
      const distance = Math.sqrt(square);
      const weight = 1 / Math.max(distance, 1e-12);
      weights += weight;
      distances += distance;
      for (let i = 0; i < width; i++) {
        next[i]! += weight * x[row * width + i]!;
      }
    }
    let moved = 0;
    for (let i = 0; i < width; i++) {
      next[i]! /= weights;
      moved += (next[i]! - centre[i]!) ** 2;
    }
    centre = next;
    if (Math.sqrt(moved) <= 1e-6 * (distances / rows)) {
      break;
    }
  }
  return centre;
}

/**
 * The factor on activations after which E|x|^2 = 1 (as in Gemma Scope). Raises SextantError `data_invalid` for
 * activations that are all zero.
 */
export function inputScale(statistics: ActivationStatistics): number {
  if (!(statistics.meanSquare > 0)) {
    throw new SextantError('data_invalid', 'all activations are zero: nothing to learn');
  }
  return 1 / Math.sqrt(statistics.meanSquare);
}
