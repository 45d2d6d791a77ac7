/** Draws of the sampler's distributions beside the normal one. */
import type { Matrix } from '../../../shared/math/matrix.ts';
import type { RandomStream } from '../../../shared/math/random.ts';

/** mean + L^{-T} z: a normal draw with precision L L^T. */
export function drawFrom(mean: Float64Array, { rows, data }: Matrix, z: Float64Array): Float64Array {
  const out = z.slice();
  for (let i = rows - 1; i >= 0; i--) {
    for (let j = i + 1; j < rows; j++) {
      out[i]! -= data[j * rows + i]! * out[j]!;
    }
    out[i]! /= data[i * rows + i]!;
  }
  return out.map((x, i) => x + mean[i]!);
}

/** Gamma(shape, 1) for shape >= 1 (Marsaglia and Tsang 2000). */
export function gammaDraw(shape: number, random: RandomStream): number {
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (let i = 0; ; i++) {
    const x = random.derive('normal').normal(1, { start: 2 * i })[0]!;
    const v = (1 + c * x) ** 3;
    if (v <= 0) {
      continue;
    }
    const u = random.derive('uniform').uniform(1, { start: i })[0]!;
    if (Math.log(u) < (x * x) / 2 + d - d * v + d * Math.log(v)) {
      return d * v;
    }
  }
}
