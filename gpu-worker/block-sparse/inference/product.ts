/**
 * Inference with live tiles alone, by the way that is faster for their size: wide tiles are gathered and multiplied by the
 * runtime's dense product, narrow ones go through a kernel that gathers nothing (figures: `tests/bench/results/block-sparse.json`).
 */
import * as g from '../../graph/index.ts';
import { Session } from '../../runtime/index.ts';
import type { BlockCsr } from '../tiles/block-csr.ts';
import { gatheredProduct } from './gathered.ts';
import { StripProduct } from './strip-product.ts';

type SparseProduct = {
  /** x W, [rows, outputs], for x [rows, inputs]. */
  multiply(x: Float32Array): Promise<Float32Array>;
  release(): Promise<void>;
};
export type ProductWay = 'gathered' | 'strips';

/** From this width of a tile on, gathering costs less than the dense product's wider registers gain. */
const WIDE = 64;
/** Rows that are gathered at a time, so that what was gathered is still in cache when it is multiplied. */
const BLOCK = 128;

export const wayFor = (tileWidth: number): ProductWay => (tileWidth >= WIDE ? 'gathered' : 'strips');

/** @throws SextantError `memory_exceeded` */
export async function openSparseProduct(
  matrix: BlockCsr,
  { way = wayFor(matrix.grid.n), threads = 1 }: { way?: ProductWay; threads?: number } = {},
): Promise<SparseProduct> {
  if (way === 'gathered') {
    return openGathered(matrix, threads);
  }
  const product = new StripProduct(matrix);
  return { multiply: async (x) => product.multiply(x), release: async () => {} };
}

async function openGathered(matrix: BlockCsr, threads: number): Promise<SparseProduct> {
  const { p, q, m, n } = matrix.grid;
  const [inputs, outputs] = [p * m, q * n];
  const program = g.compile({ y: gatheredProduct(g.input('x', ['rows', inputs]), matrix) }, { name: 'sparse_product' });
  const session = await Session.create(program, { threads });
  return {
    async multiply(x) {
      const rows = x.length / inputs;
      const y = new Float32Array(rows * outputs);
      for (let from = 0; from < rows; from += BLOCK) {
        const height = Math.min(BLOCK, rows - from);
        const data = x.subarray(from * inputs, (from + height) * inputs);
        const found = await session.runRaw({ x: { shape: [height, inputs], data } });
        y.set(found.y!.data as Float32Array, from * outputs);
      }
      return y;
    },
    release: () => session.release(),
  };
}
