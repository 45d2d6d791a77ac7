import { describe, expect, it } from 'vitest';
import { openSparseProduct, PRODUCT_WAYS } from '../../../../gpu-worker/block-sparse/inference/index.ts';
import { toBlockCsr } from '../../../../gpu-worker/block-sparse/tiles/block-csr.ts';
import { eachTileRow, gridOf } from '../../../../gpu-worker/block-sparse/tiles/tiles.ts';
import { stream } from '../../../../shared/math/random.ts';

// Strips of eight outputs hold part of a tile, several tiles, or parts of two; tiles are higher than what is unrolled, or prime.
describe.each([
  [12, 10, [3, 2]],
  [64, 96, [16, 32]],
  [8, 6, [8, 1]],
  [22, 24, [11, 12]],
  [48, 128, [24, 64]],
] as const)('a block-sparse matrix of %i x %i, tiles of %j', (inputs, outputs, tile) => {
  describe.each([...PRODUCT_WAYS, 'fastest'] as const)('%s', (way) => {
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
      const product = await openSparseProduct(toBlockCsr(weight, grid), way === 'fastest' ? {} : { way });
      expect(way === 'fastest' ? PRODUCT_WAYS : [way]).toContain(product.way);
      // Fewer rows than a group, and more than a block, with some left over; the second call must not see the first.
      for (const rows of [263, 7, 1]) {
        const x = random.derive(`x ${rows}`).normal32(rows * inputs);
        const found = await product.multiply(x);
        expect(found).toHaveLength(rows * outputs);
        let worst = 0;
        for (let r = 0; r < rows; r++) {
          for (let o = 0; o < outputs; o++) {
            let sum = 0;
            for (let i = 0; i < inputs; i++) {
              sum += x[r * inputs + i]! * weight[i * outputs + o]!;
            }
            worst = Math.max(worst, Math.abs(found[r * outputs + o]! - sum));
          }
        }
        expect(worst).toBeLessThan(2e-5);
      }
      await product.release();
    });
  });
});
