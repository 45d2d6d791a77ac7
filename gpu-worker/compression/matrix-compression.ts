/** One matrix by one method, from the sums over its inputs. */
import { SingularMatrixError } from '../../shared/math/cholesky.ts';
import type { Gram } from './gram.ts';
import { type GridKind, type Rounded, roundToNearest } from './methods/grids.ts';
import { type Hessian, hessianOf } from './methods/hessian.ts';
import { lowest, masked, scores } from './methods/masks.ts';
import { roundingSweep, sparseSweep } from './methods/sweep.ts';
import type { CompressionPlan } from './plan.ts';
import type { Products } from './products.ts';

type CompressedMatrix = {
  /** [out, in]. */
  values: Float32Array;
  /** Of methods that round. */
  rounded: Rounded | null;
};

/** Layers that read the same input share its factor. */
export class InputSums {
  readonly gram: Gram;
  readonly #products: Products;
  #hessian: Promise<Hessian> | null = null;

  constructor(gram: Gram, products: Products) {
    this.gram = gram;
    this.#products = products;
  }

  hessian(): Promise<Hessian> {
    this.#hessian ??= hessianOf(this.#products, this.gram);
    return this.#hessian;
  }
}

export const gridKindOf = ({ method, symmetric }: Pick<CompressionPlan, 'method' | 'symmetric'>): GridKind =>
  symmetric ? (method === 'gptq' ? 'centred' : 'symmetric') : 'asymmetric';

/**
 * W [out, in] compressed; null where the Hessian cannot be factorised, so that nothing is rounded without correction in
 * silence.
 */
export async function compressMatrix(
  products: Products,
  w: Float32Array,
  sums: InputSums,
  plan: CompressionPlan,
  share: number,
): Promise<CompressedMatrix | null> {
  const inputs = sums.gram.size;
  const { method, bits, group } = plan;
  const pruned = (norms: Float64Array | null, comparison: Parameters<typeof lowest>[3]): CompressedMatrix => ({
    values: masked(w, lowest(scores(w, inputs, norms), inputs, share, comparison)),
    rounded: null,
  });
  try {
    switch (method) {
      case 'magnitude':
        return pruned(null, 'matrix');
      case 'wanda':
        return pruned(sums.gram.norms(), 'row');
      case 'n_of_m':
        return pruned(sums.gram.norms(), plan.pattern ?? { n: 2, m: 4 });
      case 'sparsegpt': {
        const { pattern } = plan;
        return {
          values: await sparseSweep(products, w, await sums.hessian(), { share, ...(pattern && { pattern }) }),
          rounded: null,
        };
      }
      case 'gptq': {
        const options = { kind: gridKindOf(plan), bits: bits!, group };
        const rounded = await roundingSweep(products, w, await sums.hessian(), options);
        return { values: rounded.values, rounded };
      }
      case 'awq':
      case 'rtn': {
        const rounded = roundToNearest(w, inputs, { kind: gridKindOf(plan), bits: bits!, group });
        return { values: rounded.values, rounded };
      }
      default:
        return method satisfies never;
    }
  } catch (error) {
    if (error instanceof SingularMatrixError) {
      return null;
    }
    throw error;
  }
}
