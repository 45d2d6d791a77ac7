/** H = (2 / tokens) X^T X made ready for a column sweep: dead inputs, order, damping, and the factor of its inverse. */
import type { Gram } from './gram.ts';
import { inverseFactor } from './inverse-factor.ts';
import type { Products } from './products.ts';

export type Hessian = {
  size: number;
  /** Upper triangular with U^T U = H^-1, rows and columns in the order of the sweep. */
  factor: Float64Array;
  /** Inputs that are always zero: their weights do nothing and become zero. */
  dead: Uint8Array;
  /** Input at each place of the sweep. */
  order: Int32Array;
};

type HessianOptions = {
  /** Sweep the inputs by falling diagonal of H. */
  byDiagonal?: boolean;
  /** Share of the mean of the diagonal that is added to it; Frantar et al. take a hundredth. */
  damping?: number;
};

/** Raises SingularMatrixError where even the damped matrix cannot be factorised. */
export async function hessianOf(
  products: Products,
  gram: Gram,
  { byDiagonal = false, damping: share = 0.01 }: HessianOptions = {},
): Promise<Hessian> {
  const { size, sums, tokens } = gram;
  const diagonal = Float64Array.from({ length: size }, (_, i) => (2 / tokens) * sums[i * size + i]!);
  const dead = Uint8Array.from(diagonal, (value) => (value === 0 ? 1 : 0));
  for (let i = 0; i < size; i++) {
    if (dead[i]) {
      diagonal[i] = 1;
    }
  }
  const order = Int32Array.from({ length: size }, (_, i) => i);
  if (byDiagonal) {
    order.sort((a, b) => diagonal[b]! - diagonal[a]! || a - b);
  }
  const damping = (share * diagonal.reduce((sum, value) => sum + value, 0)) / size;
  const h = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    const from = order[i]! * size;
    for (let j = 0; j < size; j++) {
      h[i * size + j] = (2 / tokens) * sums[from + order[j]!]!;
    }
    h[i * size + i] = diagonal[order[i]!]! + damping;
  }
  return { size, factor: await inverseFactor(products, h, size), dead, order };
}
