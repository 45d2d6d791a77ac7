/** One matrix by one method, from the sums over its inputs. */
import { SingularMatrixError } from '../../../shared/math/cholesky.ts';
import type { CompressionPlan } from '../plan.ts';
import type { InputSums, Statistics } from '../statistics/input-sums.ts';
import type { Products } from '../statistics/products.ts';
import { type GridKind, type Rounded, roundToNearest } from './grids.ts';
import { lowest, masked, scores } from './masks.ts';
import { roundingSweep, sparseSweep } from './sweep.ts';

type CompressedMatrix = {
  /** [out, in]. */
  values: Float32Array;
  /** Of methods that round. */
  rounded: Rounded | null;
};

/** What a method is calibrated by. */
export function statisticsOf(method: CompressionPlan['method']): Statistics {
  switch (method) {
    case 'magnitude':
    case 'rtn':
      return 'none';
    case 'wanda':
    case 'n_of_m':
      return 'norms';
    case 'sparsegpt':
    case 'gptq':
      return 'products';
    case 'awq':
      return 'products and magnitudes';
    default:
      return method satisfies never;
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
  const inputs = sums.size;
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
        return pruned(sums.norms(), 'row');
      case 'n_of_m':
        return pruned(sums.norms(), plan.pattern ?? { n: 2, m: 4 });
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
