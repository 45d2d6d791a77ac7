/**
 * Inference with live tiles alone, by the way that is fastest here: which one is depends on the size of the tiles, on their
 * share and on the width of the processor's registers, so that it is measured (`tests/bench/results/block-sparse.json`).
 */
import { performance } from 'node:perf_hooks';
import { stream } from '../../../shared/math/random.ts';
import * as g from '../../graph/index.ts';
import { Session } from '../../runtime/index.ts';
import type { BlockCsr } from '../tiles/block-csr.ts';
import { gatheredProduct, transposedProduct } from './gathered.ts';
import { StripProduct } from './strip-product.ts';

/** Gathered columns of x, gathered rows of x transposed, or the kernel that gathers nothing. */
export const PRODUCT_WAYS = ['gathered', 'transposed', 'strips'] as const;
export type ProductWay = (typeof PRODUCT_WAYS)[number];
type SparseProduct = {
  way: ProductWay;
  /** x W, [rows, outputs], for x [rows, inputs]. */
  multiply(x: Float32Array): Promise<Float32Array>;
  release(): Promise<void>;
};

/** Rows that are gathered at a time, so that what was gathered is still in cache when it is multiplied. */
const BLOCK = 256;
/** Products of one block before a way is timed, in which its kernel is compiled anew, and products that are timed. */
const [WARM_UP, ROUNDS] = [3, 9];

/**
 * @param way the fastest on a block of rows, unless given
 * @throws SextantError `memory_exceeded` for a matrix whose live tiles take more than 2 GiB
 */
export async function openSparseProduct(
  matrix: BlockCsr,
  { way, threads = 1 }: { way?: ProductWay; threads?: number } = {},
): Promise<SparseProduct> {
  return way === undefined ? fastest(matrix, threads) : open(matrix, way, threads);
}

async function open(matrix: BlockCsr, way: ProductWay, threads: number): Promise<SparseProduct> {
  if (way !== 'strips') {
    return openProgram(matrix, way, threads);
  }
  const product = new StripProduct(matrix);
  return { way, multiply: async (x) => product.multiply(x), release: async () => {} };
}

/** All ways in turns on the same rows; the one with the least time of its best round stays open. */
async function fastest(matrix: BlockCsr, threads: number): Promise<SparseProduct> {
  const x = stream(0, 'rows').normal32(BLOCK * matrix.grid.p * matrix.grid.m);
  const products = await Promise.all(PRODUCT_WAYS.map((way) => open(matrix, way, threads)));
  const best = products.map(() => Number.POSITIVE_INFINITY);
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    for (const [i, product] of products.entries()) {
      const began = performance.now();
      await product.multiply(x);
      const taken = performance.now() - began;
      best[i] = round < 0 ? best[i]! : Math.min(best[i]!, taken);
    }
  }
  const chosen = products[best.indexOf(Math.min(...best))]!;
  await Promise.all(products.filter((product) => product !== chosen).map((product) => product.release()));
  return chosen;
}

async function openProgram(matrix: BlockCsr, way: 'gathered' | 'transposed', threads: number): Promise<SparseProduct> {
  const { p, q, m, n } = matrix.grid;
  const [inputs, outputs] = [p * m, q * n];
  const product = way === 'gathered' ? gatheredProduct : transposedProduct;
  const program = g.compile({ y: product(g.input('x', ['rows', inputs]), matrix) }, { name: 'sparse_product' });
  const session = await Session.create(program, { threads });
  return {
    way,
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
