/**
 * How much worse an L-Lipschitz autoencoder can reconstruct shifted activations (arXiv:2507.15977, bound (3)):
 * E|x' - f(x')|^2 <= E0 + (1 + L)^2 e2 + 2 (1 + L) sqrt(E0 e2). A theorem for ReLU codes, with L the product of the two
 * matrices' spectral norms; codes with thresholds or a fixed number of entries are not continuous and have no L.
 */
import type { TrainedSae } from '../../sae/index.ts';

const ROUNDS = 100;

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
  const lipschitz = spectralNorm(encoder, inputs) * spectralNorm(decoder, inputs);
  const [e0, shift, error] = [mean(x, xHat), mean(x, y), mean(y, yHat)];
  const bound = e0 + (1 + lipschitz) ** 2 * shift + 2 * (1 + lipschitz) * Math.sqrt(e0 * shift);
  return { lipschitz, shift, error, bound, holds: error <= bound };
}

/** Largest singular value of w [rows, columns], by powers of W^T W. */
export function spectralNorm(w: Float32Array, columns: number): number {
  let v = new Float64Array(columns).map((_, i) => 1 + (i % 7) / 7);
  let norm = 0;
  for (let round = 0; round < ROUNDS; round++) {
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
    const length = Math.sqrt(next.reduce((sum, value) => sum + value * value, 0));
    if (length === 0) {
      return 0;
    }
    v = next.map((value) => value / length);
    norm = Math.sqrt(length);
  }
  return norm;
}
