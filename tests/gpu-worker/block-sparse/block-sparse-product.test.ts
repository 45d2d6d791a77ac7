import { describe, expect, it } from 'vitest';
import { toBlockCsr } from '../../../gpu-worker/block-sparse/block-csr.ts';
import { eachTileRow, gridOf } from '../../../gpu-worker/block-sparse/tiles.ts';
import * as g from '../../../gpu-worker/graph/index.ts';
import { Session } from '../../../gpu-worker/runtime/index.ts';
import { stream } from '../../../shared/math/random.ts';
import { blockSparseProduct } from '../../support/block-sparse-product.ts';

describe.each([
  [12, 10, [3, 2]],
  [64, 96, [16, 32]],
  [8, 6, [8, 1]],
] as const)('a block-sparse matrix of %i x %i, tiles of %j', (inputs, outputs, tile) => {
  it.each([0, 0.5, 1])('multiplies as the dense one does, with a share of %d zero tiles', async (zeros) => {
    const grid = gridOf(inputs, outputs, tile);
    const random = stream(5, `${inputs} ${zeros}`);
    const weight = random.derive('w').normal32(inputs * outputs);
    const dead = new Set(random.derive('dead').subset(grid.p * grid.q, Math.round(zeros * grid.p * grid.q)));
    eachTileRow(grid, (at, offset) => {
      if (dead.has(at)) {
        weight.fill(0, offset, offset + grid.n);
      }
    });
    const x = g.input('x', ['rows', inputs]);
    const program = g.compile({
      y: blockSparseProduct(x, toBlockCsr(weight, grid)),
      dense: g.matmul(x, g.constant(weight, [inputs, outputs])),
    });
    const session = await Session.create(program, { threads: 1 });
    const found = await session.run({ x: { shape: [7, inputs], data: random.derive('x').normal32(7 * inputs) } });
    await session.release();
    expect(found.y!.shape).toEqual([7, outputs]);
    found.dense!.data.forEach((value, i) => {
      expect(Math.abs(Number(found.y!.data[i]) - Number(value))).toBeLessThan(1e-5);
    });
  });
});
