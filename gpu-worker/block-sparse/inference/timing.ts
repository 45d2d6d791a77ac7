/** Whether zero tiles make trained layers faster on this machine: products with live tiles alone beside the dense ones. */
import { performance } from 'node:perf_hooks';
import { stream } from '../../../shared/math/random.ts';
import * as g from '../../graph/index.ts';
import { Session } from '../../runtime/index.ts';
import type { PointModel } from '../comparison/measure.ts';
import { toBlockCsr } from '../tiles/block-csr.ts';
import { openSparseProduct } from './product.ts';

const ROWS = 256;
/** Kernels are compiled anew once they have run for a while; what counts is how fast they are then. */
const [WARM_UP, ROUNDS] = [20, 7];

async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/** Medians over a few rounds in turns, on one thread, for the layers with zero tiles. */
export async function layerTimes({ layers, states }: PointModel) {
  const times = [];
  for (const { name, grid, inputs, outputs } of layers) {
    const weight = states.get(name)?.weight ?? new Float32Array();
    const matrix = toBlockCsr(weight, grid);
    const live = matrix.colIndices.length / (grid.p * grid.q);
    if (live === 1) {
      continue;
    }
    const product = g.matmul(g.input('x', [ROWS, inputs]), g.constant(weight, [inputs, outputs]));
    const dense = await Session.create(g.compile({ y: product }, { name: 'dense_product' }), { threads: 1 });
    const sparse = await openSparseProduct(matrix);
    const x = stream(1, 'x').normal32(ROWS * inputs);
    const ways = {
      dense: () => dense.runRaw({ x: { shape: [ROWS, inputs], data: x } }),
      sparse: () => sparse.multiply(x),
    };
    for (let i = 0; i < WARM_UP; i++) {
      await ways.dense();
      await ways.sparse();
    }
    const taken = { dense: [] as number[], sparse: [] as number[] };
    for (let i = 0; i < ROUNDS; i++) {
      taken.dense.push(await milliseconds(ways.dense));
      taken.sparse.push(await milliseconds(ways.sparse));
    }
    await dense.release();
    await sparse.release();
    times.push({
      layer: name,
      way: sparse.way,
      rows: ROWS,
      live_share: live,
      dense_ms: median(taken.dense),
      live_tiles_ms: median(taken.sparse),
    });
  }
  return times;
}
