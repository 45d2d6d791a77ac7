/** Data with known atoms: sparse combinations of n axes, the acceptance data of AbsTopK. */
import { stream } from '../../shared/math/random.ts';

export type PlantedOptions = {
  axes: number;
  width: number;
  active: number;
  signed: boolean;
  samples: number;
  seed: number;
  /** Orthonormal axes are the unit vectors; otherwise random unit vectors. */
  orthonormal: boolean;
};
/** `x` = `coefficients` times `atoms`; samples x width, samples x axes, axes x width. */
export type Planted = { x: Float32Array; coefficients: Float32Array; atoms: Float32Array };

/** Exactly `active` axes per sample with coefficients of magnitude uniform in [1, 2], signs random or all positive. */
export function plantedDictionary(options: PlantedOptions): Planted {
  const { axes, width, active, signed, samples, seed, orthonormal } = options;
  const random = stream(seed, 'planted-dictionary');
  const atoms = new Float32Array(axes * width);
  if (orthonormal) {
    for (let i = 0; i < axes; i++) {
      atoms[i * width + i] = 1;
    }
  } else {
    atoms.set(random.derive('atoms').normal32(axes * width));
    for (let i = 0; i < axes; i++) {
      const row = atoms.subarray(i * width, (i + 1) * width);
      const norm = Math.hypot(...row);
      for (let j = 0; j < width; j++) {
        row[j]! /= norm;
      }
    }
  }
  const coefficients = new Float32Array(samples * axes);
  const x = new Float32Array(samples * width);
  const draws = random.derive('samples').uniform32(3 * samples * active);
  for (let sample = 0; sample < samples; sample++) {
    const order = Uint16Array.from({ length: axes }, (_, i) => i);
    for (let slot = 0; slot < active; slot++) {
      const at = 3 * (sample * active + slot);
      const swap = slot + Math.floor(draws[at]! * (axes - slot));
      [order[slot], order[swap]] = [order[swap]!, order[slot]!];
      const axis = order[slot]!;
      const value = (1 + draws[at + 1]!) * (signed && draws[at + 2]! < 0.5 ? -1 : 1);
      coefficients[sample * axes + axis] = value;
      for (let j = 0; j < width; j++) {
        x[sample * width + j]! += value * atoms[axis * width + j]!;
      }
    }
  }
  return { x, coefficients, atoms };
}
