/**
 * How much worse an L-Lipschitz autoencoder can reconstruct shifted activations (arXiv:2507.15977, bound (3)):
 * E|x' - f(x')|^2 <= E0 + (1 + L)^2 e2 + 2 (1 + L) sqrt(E0 e2). A theorem for ReLU codes, with L the product of the two
 * matrices' spectral norms; codes with thresholds or a fixed number of entries are not continuous and have no L.
 */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { powerIteration } from '../../../shared/math/power-iteration.ts';
import type { TrainedSae } from '../../sae/index.ts';

/** A norm is approached from below: rounds that add less than the tolerance leave it short by less than the margin. */
const [ROUNDS, TOLERANCE, MARGIN] = [5000, 1e-6, 1.01];

type ErrorBound = { lipschitz: number; shift: number; error: number; bound: number; holds: boolean };

/** @param x dense, y compressed activations [rows, inputs]; xHat, yHat their reconstructions */
export function errorBound(
  { parameters }: TrainedSae,
  x: Float32Array,
  xHat: Float32Array,
  y: Float32Array,
  yHat: Float32Array,
): ErrorBound {
  const { inputs, encoder, decoder } = parameters;
  const rows = x.length / inputs;
  const mean = (a: Float32Array, b: Float32Array) => {
    let sum = 0;
    for (let i = 0; i < a.length; i++) {
      sum += (a[i]! - b[i]!) ** 2;
    }
    return sum / rows;
  };
  const lipschitz = MARGIN ** 2 * spectralNorm(encoder, inputs) * spectralNorm(decoder, inputs);
  const [e0, shift, error] = [mean(x, xHat), mean(x, y), mean(y, yHat)];
  const bound = e0 + (1 + lipschitz) ** 2 * shift + 2 * (1 + lipschitz) * Math.sqrt(e0 * shift);
  return { lipschitz, shift, error, bound, holds: error <= bound };
}

/**
 * Largest singular value of w [rows, columns], by powers of W^T W, short by less than a hundredth. Raises `not_converged`
 * where it does not settle: the bound would be none.
 */
export function spectralNorm(w: Float32Array, columns: number): number {
  const start = Float64Array.from({ length: columns }, (_, i) => 1 + (i % 7) / 7);
  const gram = (v: Float64Array): Float64Array => {
    const next = new Float64Array(columns);
    for (let at = 0; at < w.length; at += columns) {
      let dot = 0;
      for (let i = 0; i < columns; i++) {
        dot += w[at + i]! * v[i]!;
      }
      for (let i = 0; i < columns; i++) {
        next[i]! += dot * w[at + i]!;
      }
    }
    return next;
  };
  const { value, settled } = powerIteration(gram, start, { rounds: ROUNDS, tolerance: TOLERANCE, until: 'value' });
  if (!settled) {
    throw new SextantError(
      'not_converged',
      "the largest singular value of the autoencoder's matrix does not settle; are its weights finite?",
    );
  }
  return Math.sqrt(value);
}
