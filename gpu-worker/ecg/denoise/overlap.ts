/** Windows that overlap by half, and the weights by which their outputs are joined: a partition of unity. */

/** Where the windows of a signal of `n` samples begin: every half window, and one at the very end. */
export function windowStarts(n: number, window: number): number[] {
  const starts: number[] = [];
  for (let at = 0; at + window <= n; at += window / 2) {
    starts.push(at);
  }
  if (n >= window && starts.at(-1) !== n - window) {
    starts.push(n - window);
  }
  return starts;
}

/** Hann's window between the samples: halves that overlap add up to 1, and no weight is 0. */
export const overlapWeights = (window: number): Float64Array =>
  Float64Array.from({ length: window }, (_, i) => Math.sin((Math.PI * (i + 0.5)) / window) ** 2);

/** Adds up weighted windows over a stretch; what was added is divided by the weights that reached each sample. */
export class OverlapSum {
  readonly #from: number;
  readonly #sum: Float64Array;
  readonly #weight: Float64Array;
  readonly #weights: Float64Array;

  constructor(from: number, to: number, weights: Float64Array) {
    this.#from = from;
    this.#sum = new Float64Array(to - from);
    this.#weight = new Float64Array(to - from);
    this.#weights = weights;
  }

  add(start: number, value: (i: number) => number): void {
    const first = Math.max(0, this.#from - start);
    const last = Math.min(this.#weights.length, this.#from + this.#sum.length - start);
    for (let i = first; i < last; i++) {
      const at = start + i - this.#from;
      this.#sum[at]! += this.#weights[i]! * value(i);
      this.#weight[at]! += this.#weights[i]!;
    }
  }

  values(): Float64Array {
    return this.#sum.map((value, i) => value / this.#weight[i]!);
  }
}
