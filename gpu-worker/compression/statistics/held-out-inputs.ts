/** A layer's inputs on held-out text, from which the error of its outputs follows. */
import { Gram, outputEnergy } from './gram.ts';
import type { Products } from './products.ts';

export class HeldOutInputs {
  readonly #size: number;
  readonly #products: Products;
  /** Few rows are kept as they are: fewer than there are inputs, and X^T X would cost more than they do. */
  readonly #rows: Float32Array[] = [];
  readonly #gram: Gram | null;

  /** @param tokens that will be added */
  constructor(size: number, tokens: number, products: Products) {
    this.#size = size;
    this.#products = products;
    this.#gram = tokens > size ? new Gram(size) : null;
  }

  /** Adds the rows of x [rows, size]. */
  async add(x: Float32Array): Promise<void> {
    if (this.#gram) {
      await this.#gram.add(this.#products, x);
    } else {
      this.#rows.push(x);
    }
  }

  finish(): void {
    this.#gram?.finish();
  }

  /** Sum over the tokens of |D x|^2 for D [out, size]. */
  async energy(d: Float32Array): Promise<number> {
    if (this.#gram) {
      return outputEnergy(this.#products, this.#gram, d);
    }
    const size = this.#size;
    const weight = { rows: d.length / size, cols: size, data: d };
    let total = 0;
    for (const x of this.#rows) {
      const input = { rows: x.length / size, cols: size, data: x };
      for (const value of await this.#products.multiply('float32', input, weight, { transB: true })) {
        total += value * value;
      }
    }
    return total;
  }
}
