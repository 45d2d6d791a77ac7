/**
 * The posterior of everybody's latent variable given the coefficients: K ~ N(0, 1) behind Gaussian and Poisson children. Its
 * log density is concave, so that Newton's steps reach its one mode.
 */

type LatentChild = { name: string; family: 'gaussian' | 'poisson'; values: Float64Array };
/** `attributes` (n x p, row-major) holds no constant: the intercept is added. The status is one more Gaussian child. */
export type LatentData = { children: readonly LatentChild[]; attributes: Float64Array; p: number; n: number };
/** Of every child its coefficients (intercept, p attributes, weight of K) and its variance, which counts nothing for counts. */
type Coefficients = { coefficients: readonly Float64Array[]; variances: readonly number[] };
/** The normal approximation of every person's posterior at its mode (Laplace). */
export type Approximation = { mode: Float64Array; precision: Float64Array };

/** Newton steps to a person's mode at most; it is reached in a handful from either side. */
const MODE_STEPS = 30;

export class LatentPosterior {
  readonly #n: number;
  /** What the Gaussian children and the prior make of it together: precision k^2 / 2 - pull k + rest. */
  readonly #precision: number;
  readonly #pull: Float64Array;
  readonly #rest: Float64Array;
  readonly #counts: { offsets: Float64Array; values: Float64Array; weight: number }[] = [];

  constructor({ children, attributes, p, n }: LatentData, { coefficients, variances }: Coefficients) {
    this.#n = n;
    this.#pull = new Float64Array(n);
    this.#rest = new Float64Array(n);
    let precision = 1;
    for (const [c, { family, values }] of children.entries()) {
      const own = coefficients[c]!;
      const weight = own[p + 1]!;
      const offsets = new Float64Array(n);
      for (let i = 0; i < n; i++) {
        let value = own[0]!;
        for (let j = 0; j < p; j++) {
          value += own[j + 1]! * attributes[i * p + j]!;
        }
        offsets[i] = value;
      }
      if (family === 'poisson') {
        this.#counts.push({ offsets, values, weight });
        continue;
      }
      const variance = variances[c]!;
      precision += weight ** 2 / variance;
      for (let i = 0; i < n; i++) {
        const away = values[i]! - offsets[i]!;
        this.#pull[i]! += (weight * away) / variance;
        this.#rest[i]! += away ** 2 / (2 * variance);
      }
    }
    this.#precision = precision;
  }

  /** Negative log density of person i at `k` and of what is seen of it, up to terms without k, weights and offsets. */
  energy(i: number, k: number): number {
    let value = (this.#precision * k * k) / 2 - this.#pull[i]! * k + this.#rest[i]!;
    for (const { offsets, values, weight } of this.#counts) {
      const eta = offsets[i]! + weight * k;
      value += Math.exp(eta) - values[i]! * eta;
    }
    return value;
  }

  /** Depends on the coefficients alone, not on where anybody stands: every search begins where Gaussian children alone would put it. */
  approximation(): Approximation {
    const mode = this.#pull.map((pull) => pull / this.#precision);
    const precision = new Float64Array(this.#n).fill(this.#precision);
    for (let i = 0; i < this.#n && this.#counts.length > 0; i++) {
      let at = mode[i]!;
      for (let step = 0; step < MODE_STEPS; step++) {
        let slope = this.#precision * at - this.#pull[i]!;
        let curvature = this.#precision;
        for (const { offsets, values, weight } of this.#counts) {
          const rate = Math.exp(Math.min(offsets[i]! + weight * at, 50));
          slope -= weight * (values[i]! - rate);
          curvature += weight ** 2 * rate;
        }
        precision[i] = curvature;
        const move = slope / curvature;
        at -= Math.max(-2, Math.min(2, move));
        if (Math.abs(move) < 1e-6) {
          break;
        }
      }
      mode[i] = at;
    }
    return { mode, precision };
  }
}
