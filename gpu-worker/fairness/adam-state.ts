/** Adam (Kingma and Ba 2015) over one float64 array of parameters. */
export class AdamState {
  readonly #first: Float64Array;
  readonly #second: Float64Array;
  #steps = 0;

  constructor(size: number) {
    this.#first = new Float64Array(size);
    this.#second = new Float64Array(size);
  }

  /** Moves `parameters` against `gradient`. */
  step(parameters: Float64Array, gradient: Float64Array, rate: number, beta1 = 0.9, beta2 = 0.999): void {
    this.#steps += 1;
    const scale = (rate * Math.sqrt(1 - beta2 ** this.#steps)) / (1 - beta1 ** this.#steps);
    for (let i = 0; i < parameters.length; i++) {
      const g = gradient[i]!;
      this.#first[i] = beta1 * this.#first[i]! + (1 - beta1) * g;
      this.#second[i] = beta2 * this.#second[i]! + (1 - beta2) * g * g;
      parameters[i]! -= (scale * this.#first[i]!) / (Math.sqrt(this.#second[i]!) + 1e-8);
    }
  }
}
