/**
 * Activation-aware scaling (Lin et al. 2023, arXiv:2306.00978): input channels of layers are scaled by s_j = mean|x_j|^a
 * before rounding, and what gives them is divided by s. The exponent is the one of a grid with the least output error.
 */
import { outputEnergy } from '../statistics/gram.ts';
import type { InputSums } from '../statistics/input-sums.ts';
import type { Products } from '../statistics/products.ts';
import { type GridKind, roundToNearest } from './grids.ts';

const STEPS = 20;

type AwqScales = { scales: Float32Array; exponent: number };

/** W [out, in] times s by input. */
export const scaledColumns = (w: Float32Array, s: Float32Array): Float32Array =>
  w.map((value, i) => value * s[i % s.length]!);

/** The scales for layers that read one input; exponent 0 scales by 1. */
export async function awqScales(
  products: Products,
  weights: readonly Float32Array[],
  sums: InputSums,
  options: { kind: GridKind; bits: number; group: number | null },
): Promise<AwqScales> {
  let best: AwqScales = { scales: new Float32Array(sums.size).fill(1), exponent: 0 };
  let least = Number.POSITIVE_INFINITY;
  for (let step = 0; step < STEPS; step++) {
    const exponent = step / STEPS;
    const scales = scalesOf(sums, exponent);
    let error = 0;
    for (const w of weights) {
      const { values } = roundToNearest(scaledColumns(w, scales), sums.size, options);
      error += await outputEnergy(
        products,
        sums.gram,
        values.map((value, i) => value / scales[i % sums.size]! - w[i]!),
      );
    }
    if (error < least) {
      [least, best] = [error, { scales, exponent }];
    }
  }
  return best;
}

/** mean|x|^a over the geometric middle of its extremes, so that scales lie around 1; a dead input keeps 1. */
function scalesOf({ magnitudes, tokens }: InputSums, exponent: number): Float32Array {
  const raw = Float64Array.from(magnitudes, (sum) => Math.max(sum / tokens, 1e-4) ** exponent);
  const middle = Math.sqrt(Math.max(...raw) * Math.min(...raw));
  return Float32Array.from(raw, (value) => value / middle);
}
