/** The acceptance runs of AbsTopK on planted dictionaries, and what they are measured by. */

import { denseCodes } from '../../gpu-worker/sae/codes/sparse-codes.ts';
import { measure, type SaeMeasures, type TrainedSae } from '../../gpu-worker/sae/measures/evaluate.ts';
import { saeConfiguration } from '../../gpu-worker/sae/training/configuration.ts';
import { type FitOptions, fit as trainOn } from './fit-sae.ts';
import { type Planted, plantedDictionary } from './planted-dictionary.ts';

export type PlantedRun = {
  variant: 'topk' | 'abstopk';
  /** Latents. */
  width: number;
  axes: number;
  inputs: number;
  active: number;
  signed: boolean;
  orthonormal: boolean;
  steps: number;
  seed: number;
  /** See `SaeConfiguration.encoderScale`. */
  encoderScale?: number;
};
export type PlantedResult = {
  sae: TrainedSae;
  measures: SaeMeasures;
  held: Planted;
  /** Mean over axes of the largest |cosine| of a decoder row with the axis. */
  recovery: number;
  /** Least over axes of the R^2 of a single latent's code with the signed coefficient; and the mean. */
  leastR2: number;
  meanR2: number;
  /** Share of all codes that are negative. */
  negativeShare: number;
};

const BATCH = 512;

/** Trains by the settings of the acceptance checks: 512 samples per step, rate 4e-3 with warm-up and decay. */
export async function plantedRun(run: PlantedRun): Promise<PlantedResult> {
  const shape = {
    axes: run.axes,
    width: run.inputs,
    active: run.active,
    signed: run.signed,
    orthonormal: run.orthonormal,
    seed: run.seed,
  };
  const all = plantedDictionary({ ...shape, samples: 65_536 + 8192 });
  const train = all.x.subarray(0, 65_536 * run.inputs);
  const held: Planted = {
    x: all.x.slice(65_536 * run.inputs),
    coefficients: all.coefficients.slice(65_536 * run.axes),
    atoms: all.atoms,
  };
  const complete = saeConfiguration({
    variant: run.variant,
    inputs: run.inputs,
    width: run.width,
    k: run.active,
    deadTokens: 20 * BATCH,
    clipNorm: null,
    ...(run.encoderScale !== undefined && { encoderScale: run.encoderScale }),
  });
  const options: FitOptions = {
    schedule: { rate: 4e-3, steps: run.steps, warmupSteps: 100, decayFraction: 0.3 },
    batch: BATCH,
    seed: run.seed,
    threads: 1,
  };
  const parameters = await trainOn(complete, train, options);
  const sae: TrainedSae = { variant: run.variant, k: run.active, subtractBias: true, parameters };
  const { measures, codes } = await measure(sae, held.x);
  const dense = denseCodes(codes, run.width);
  const fits = bestFits(dense, run.width, held.coefficients, run.axes);
  const nonZero = codes.values.filter((value) => value !== 0);
  return {
    sae,
    measures,
    held,
    recovery: recovery(parameters.decoder, held.atoms, run.inputs),
    leastR2: Math.min(...fits),
    meanR2: fits.reduce((sum, value) => sum + value, 0) / fits.length,
    negativeShare: nonZero.filter((value) => value < 0).length / nonZero.length,
  };
}

function recovery(decoder: Float32Array, atoms: Float32Array, inputs: number): number {
  const [axes, width] = [atoms.length / inputs, decoder.length / inputs];
  let total = 0;
  for (let axis = 0; axis < axes; axis++) {
    let best = 0;
    for (let latent = 0; latent < width; latent++) {
      let cosine = 0;
      for (let j = 0; j < inputs; j++) {
        cosine += decoder[latent * inputs + j]! * atoms[axis * inputs + j]!;
      }
      best = Math.max(best, Math.abs(cosine));
    }
    total += best;
  }
  return total / axes;
}

/** For each axis the largest squared correlation of one latent's code with the coefficient. */
function bestFits(codes: Float32Array, width: number, coefficients: Float32Array, axes: number): number[] {
  const rows = coefficients.length / axes;
  const moments = (values: Float32Array, size: number) => {
    const [mean, square] = [new Float64Array(size), new Float64Array(size)];
    values.forEach((value, i) => {
      mean[i % size]! += value / rows;
      square[i % size]! += (value * value) / rows;
    });
    return { mean, variance: square.map((value, i) => value - mean[i]! ** 2) };
  };
  const cross = new Float64Array(axes * width);
  for (let row = 0; row < rows; row++) {
    for (let axis = 0; axis < axes; axis++) {
      const coefficient = coefficients[row * axes + axis]!;
      if (coefficient === 0) {
        continue;
      }
      for (let i = 0; i < width; i++) {
        cross[axis * width + i]! += (coefficient * codes[row * width + i]!) / rows;
      }
    }
  }
  const [z, c] = [moments(codes, width), moments(coefficients, axes)];
  return Array.from({ length: axes }, (_, axis) => {
    let best = 0;
    for (let i = 0; i < width; i++) {
      if (!(z.variance[i]! > 0)) {
        continue;
      }
      const covariance = cross[axis * width + i]! - z.mean[i]! * c.mean[axis]!;
      best = Math.max(best, covariance ** 2 / (z.variance[i]! * c.variance[axis]!));
    }
    return best;
  });
}
