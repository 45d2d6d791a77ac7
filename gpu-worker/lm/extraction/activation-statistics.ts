/** Running statistics of the vectors at a hook, in float64, so that they can be taken up where another worker left them. */
export class ActivationStatistics {
  /** Count, sum of norms, sum of squared norms, then the sum of the vectors [width]. */
  readonly #sums: Float64Array;
  /** Of one vector. */
  readonly width: number;

  /** @param sums what `sums` gave elsewhere */
  constructor(width: number, sums: Float64Array = new Float64Array(3 + width)) {
    if (sums.length !== 3 + width) {
      throw new RangeError(`statistics of ${sums.length - 3} elements for width ${width}`);
    }
    this.width = width;
    this.#sums = sums.slice();
  }

  get sums(): Float64Array {
    return this.#sums.slice();
  }

  /** @param values [count, width] */
  add(values: Float32Array): void {
    const [width, sums] = [this.width, this.#sums];
    for (let at = 0; at < values.length; at += width) {
      let square = 0;
      for (let j = 0; j < width; j++) {
        const value = values[at + j]!;
        sums[3 + j]! += value;
        square += value * value;
      }
      sums[0]! += 1;
      sums[1]! += Math.sqrt(square);
      sums[2]! += square;
    }
  }

  report(): { mean_norm: number; mean_square_norm: number; mean_vector_norm: number } {
    const [count, norms, squares] = this.#sums as unknown as [number, number, number];
    return {
      mean_norm: norms / count,
      mean_square_norm: squares / count,
      mean_vector_norm: Math.hypot(...this.#sums.subarray(3).map((value) => value / count)),
    };
  }
}
