/**
 * Measures of an autoencoder, accumulated over batches in float64. Every one is unchanged when the sign of a latent is
 * flipped together with its encoder column and decoder row: a latent's sign carries no meaning (AbsTopK, section 2).
 */
import type { SparseCodes } from '../codes/sparse-codes.ts';

export type ReconstructionMetrics = {
  tokens: number;
  /** E|x - x_hat|^2 / width of the activations. */
  mse: number;
  /** E[|x - x_hat|^2 / |x|^2], tokens with |x| = 0 left out. */
  nmse: number;
  /** E|x - x_hat|^2 / E|x - E x|^2; null where the activations do not vary. */
  fvu: number | null;
  /** E[<x, x_hat> / (|x| |x_hat|)]. */
  cosine: number;
  /** E of the number of codes other than 0. */
  l0: number;
  /** E of the sum of magnitudes of the codes. */
  l1: number;
};

/** Total variance from the mean square and the squared norm of the mean; null below rounding of the two: constant. */
export function varianceOf(meanSquare: number, centre: number): number | null {
  const variance = meanSquare - centre;
  return variance > 1e-12 * meanSquare ? variance : null;
}

/** Running sums for `ReconstructionMetrics`, and counts per latent and sign. */
export class MetricsAccumulator {
  readonly width: number;
  readonly #inputs: number;
  /** Tokens on which each latent was positive, negative. */
  readonly positive: Float64Array;
  readonly negative: Float64Array;
  readonly #sums: Float64Array;
  #squares = 0;
  #rows = 0;
  #error = 0;
  #relative = 0;
  #relativeRows = 0;
  #cosine = 0;
  #codes = 0;
  #magnitudes = 0;

  constructor(inputs: number, width: number) {
    this.#inputs = inputs;
    this.width = width;
    this.positive = new Float64Array(width);
    this.negative = new Float64Array(width);
    this.#sums = new Float64Array(inputs);
  }

  /** Adds rows of activations with their reconstructions and codes. */
  add(x: Float32Array, reconstruction: Float32Array, codes: SparseCodes): void {
    const inputs = this.#inputs;
    for (let row = 0; row < codes.rows; row++) {
      let [square, other, product, error] = [0, 0, 0, 0];
      for (let i = 0; i < inputs; i++) {
        const value = x[row * inputs + i]!;
        const hat = reconstruction[row * inputs + i]!;
        square += value * value;
        other += hat * hat;
        product += value * hat;
        error += (value - hat) ** 2;
        this.#sums[i]! += value;
      }
      this.#squares += square;
      this.#error += error;
      if (square > 0) {
        this.#relative += error / square;
        this.#relativeRows += 1;
        if (other > 0) {
          this.#cosine += product / Math.sqrt(square * other);
        }
      }
      for (let entry = codes.starts[row]!; entry < codes.starts[row + 1]!; entry++) {
        const code = codes.values[entry]!;
        if (code === 0) {
          continue;
        }
        const counts = code > 0 ? this.positive : this.negative;
        counts[codes.latents[entry]!]! += 1;
        this.#codes += 1;
        this.#magnitudes += Math.abs(code);
      }
    }
    this.#rows += codes.rows;
  }

  get tokens(): number {
    return this.#rows;
  }

  reconstruction(): ReconstructionMetrics {
    const n = this.#rows;
    const centre = this.#sums.reduce((sum, value) => sum + (value / n) ** 2, 0);
    const variance = varianceOf(this.#squares / n, centre);
    return {
      tokens: n,
      mse: this.#error / n / this.#inputs,
      nmse: this.#relativeRows > 0 ? this.#relative / this.#relativeRows : 0,
      fvu: variance === null ? null : this.#error / n / variance,
      cosine: this.#relativeRows > 0 ? this.#cosine / this.#relativeRows : 0,
      l0: this.#codes / n,
      l1: this.#magnitudes / n,
    };
  }

  /** Share of tokens on which each latent fires with either sign. */
  density(): Float64Array {
    return this.positive.map((count, i) => (count + this.negative[i]!) / this.#rows);
  }

  deadShare(): number {
    return this.density().filter((share) => share === 0).length / this.width;
  }

  /** BD(tau): share of the latents that fired whose rarer sign makes up at least `tau` of their firings. */
  minorityShare(tau: number): number {
    let [alive, both] = [0, 0];
    for (let i = 0; i < this.width; i++) {
      const fired = this.positive[i]! + this.negative[i]!;
      if (fired === 0) {
        continue;
      }
      alive += 1;
      if (Math.min(this.positive[i]!, this.negative[i]!) / fired >= tau) {
        both += 1;
      }
    }
    return alive === 0 ? 0 : both / alive;
  }

  /** Latents by the logarithm (base 10) of their density: `edges` from 1e-6 to 1, the last count is of the dead. */
  densityHistogram(bins = 24): { edges: number[]; counts: number[]; dead: number } {
    const edges = Array.from({ length: bins + 1 }, (_, i) => -6 + (6 * i) / bins);
    const counts = new Array<number>(bins).fill(0);
    let dead = 0;
    for (const share of this.density()) {
      if (share === 0) {
        dead += 1;
      } else {
        counts[Math.min(bins - 1, Math.max(0, Math.floor(((Math.log10(share) + 6) / 6) * bins)))]! += 1;
      }
    }
    return { edges, counts, dead };
  }
}
