/** How parameters start. Each takes the shape and a random stream that belongs to the parameter. */
import type { Initialiser } from '../graph/index.ts';

const size = (shape: readonly number[]) => shape.reduce((product, dim) => product * dim, 1);

export const zeros: Initialiser = (shape) => new Float32Array(size(shape));
export const ones: Initialiser = (shape) => new Float32Array(size(shape)).fill(1);
export const filledWith =
  (value: number): Initialiser =>
  (shape) =>
    new Float32Array(size(shape)).fill(value);
export const normal =
  (deviation = 1): Initialiser =>
  (shape, random) =>
    random.normal(size(shape), { deviation });
export const uniform =
  (bound: number): Initialiser =>
  (shape, random) =>
    random.uniform(size(shape), { low: -bound, high: bound });

/** Normal with variance gain^2 / in, `in` being the size of the given axis (He et al. 2015 with gain sqrt 2). */
export const fanIn =
  (axis: number, gain = 1): Initialiser =>
  (shape, random) =>
    normal(gain / Math.sqrt(shape.at(axis) ?? 1))(shape, random);

/** Standard normal rows scaled to unit length: directions uniform on the sphere. */
export const unitRows: Initialiser = (shape, random) => {
  const width = shape.at(-1) ?? 1;
  const values = random.normal(size(shape));
  for (let start = 0; start < values.length; start += width) {
    const row = values.subarray(start, start + width);
    const norm = Math.hypot(...row);
    for (let i = 0; i < width; i++) {
      row[i] = row[i]! / norm;
    }
  }
  return values;
};
