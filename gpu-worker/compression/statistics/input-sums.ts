/** What a method asks of a layer's inputs on calibration text, and no more than that. */

import { Gram } from './gram.ts';
import { type Hessian, hessianOf } from './hessian.ts';
import type { Products } from './products.ts';

/** products: X^T X; norms: its diagonal alone. */
export type Statistics = 'none' | 'norms' | 'products' | 'products and magnitudes';

/** Layers that read the same input share one, and so the factor of its Hessian. */
export class InputSums {
  readonly size: number;
  /** Sums of squares by input, where no products are kept. */
  readonly #squares: Float64Array;
  /** Sums of |x| by input. */
  readonly magnitudes: Float64Array;
  readonly #gram: Gram | null;
  readonly #products: Products;
  #hessian: Promise<Hessian> | null = null;
  tokens = 0;

  constructor(size: number, statistics: Statistics, products: Products) {
    this.size = size;
    this.#products = products;
    this.#squares = new Float64Array(statistics === 'norms' ? size : 0);
    this.magnitudes = new Float64Array(statistics === 'products and magnitudes' ? size : 0);
    this.#gram = statistics.startsWith('products') ? new Gram(size) : null;
  }

  /** Adds the rows of x [rows, size]. */
  async add(x: Float32Array): Promise<void> {
    const { size, magnitudes } = this;
    this.tokens += x.length / size;
    const squares = this.#squares;
    for (let at = 0; at < x.length && squares.length > 0; at += size) {
      for (let j = 0; j < size; j++) {
        const value = x[at + j]!;
        squares[j]! += value * value;
      }
    }
    for (let at = 0; at < x.length && magnitudes.length > 0; at += size) {
      for (let j = 0; j < size; j++) {
        magnitudes[j]! += Math.abs(x[at + j]!);
      }
    }
    await this.#gram?.add(this.#products, x);
  }

  /** X^T X, complete once every row was added. */
  get gram(): Gram {
    return this.#gram!;
  }

  finish(): void {
    this.#gram?.finish();
  }

  /** Euclidean norm of each input over all tokens. */
  norms(): Float64Array {
    return this.#gram ? this.#gram.norms() : this.#squares.map(Math.sqrt);
  }

  hessian(): Promise<Hessian> {
    this.#hessian ??= hessianOf(this.#products, this.gram);
    return this.#hessian;
  }
}
