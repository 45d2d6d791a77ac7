/** What the bench times: a step of a layer, dense and as a sum of Kronecker products, and inference with live tiles alone. */

import { openSparseProduct, type ProductWay } from '../../../gpu-worker/block-sparse/inference/index.ts';
import { kroneckerFactors, kroneckerProduct } from '../../../gpu-worker/block-sparse/layer/layer.ts';
import { toBlockCsr } from '../../../gpu-worker/block-sparse/tiles/block-csr.ts';
import { eachTileRow, gridOf } from '../../../gpu-worker/block-sparse/tiles/tiles.ts';
import * as g from '../../../gpu-worker/graph/index.ts';
import { Session } from '../../../gpu-worker/runtime/index.ts';
import { stream } from '../../../shared/math/random.ts';

export const WIDTH = 1024;
export type Timed = { run(): Promise<unknown>; release(): Promise<void> };

async function timed(outputs: Readonly<Record<string, g.Tensor>>, threads: number): Promise<Timed> {
  const program = g.compile(outputs, { name: 'bench' });
  const session = await Session.create(program, { threads });
  const feeds = program.inputs.map(({ name, shape }) => {
    const size = (shape as number[]).reduce((product, dim) => product * dim, 1);
    return [name, { shape: shape as number[], data: stream(1, name).uniform32(size, { low: -1, high: 1 }) }] as const;
  });
  const given = Object.fromEntries(feeds);
  return { run: () => session.runRaw(given), release: () => session.release() };
}

/** Forward and backward by input and parameters; what is returned is small, so that no copy is timed. */
function step(y: g.Tensor, x: g.Tensor, parameters: readonly g.Tensor[], gy: g.Tensor) {
  const [dx, ...rest] = g.gradients(g.sum(g.mul(y, gy)), [x, ...parameters]);
  const outputs = rest.map((gradient, i) => [`d${i}`, g.sum(gradient, 0)] as const);
  return { dx: g.sum(dx!, 0), ...Object.fromEntries(outputs) };
}
const operands = (rows: number) => ({ x: g.parameter('x', [rows, WIDTH]), gy: g.input('gy', [rows, WIDTH]) });

export function denseStep(rows: number, threads: number): Promise<Timed> {
  const { x, gy } = operands(rows);
  const weight = g.parameter('w', [WIDTH, WIDTH]);
  return timed(step(g.matmul(x, weight), x, [weight], gy), threads);
}

export function kroneckerStep(rows: number, tile: number, rank: number, threads: number): Promise<Timed> {
  const { x, gy } = operands(rows);
  const { s, a, b } = kroneckerFactors('l', [WIDTH, WIDTH], { tile: [tile, tile], rank });
  return timed(step(kroneckerProduct(x, { s, a, b }), x, [s, a, b], gy), threads);
}

const weights = () => stream(2, 'weights').normal32(WIDTH * WIDTH);

const inputs = (rows: number): Float32Array => stream(1, 'x').uniform32(rows * WIDTH, { low: -1, high: 1 });
/** Before a kernel is timed: the runtime compiles it anew once it has run for a while. */
const WARM_UP = 20;

export function denseInference(rows: number, threads: number): Promise<Timed> {
  const weight = g.constant(weights(), [WIDTH, WIDTH]);
  return timed({ y: g.matmul(g.input('x', [rows, WIDTH]), weight) }, threads);
}

export async function sparseInference(
  { rows, tile, zeros, way }: { rows: number; tile: number; zeros: number; way: ProductWay | undefined },
  threads: number,
): Promise<Timed & { way: ProductWay }> {
  const grid = gridOf(WIDTH, WIDTH, [tile, tile]);
  const weight = weights();
  const dead = new Set(stream(3, 'dead').subset(grid.p * grid.q, Math.round(zeros * grid.p * grid.q)));
  eachTileRow(grid, (at, offset) => {
    if (dead.has(at)) {
      weight.fill(0, offset, offset + tile);
    }
  });
  const product = await openSparseProduct(toBlockCsr(weight, grid), { ...(way && { way }), threads });
  const x = inputs(rows);
  for (let i = 0; i < WARM_UP; i++) {
    await product.multiply(x);
  }
  return { way: product.way, run: () => product.multiply(x), release: () => product.release() };
}
