import { describe, expect, it } from 'vitest';
import { inferenceCounts, layerCounts } from '../../../../gpu-worker/block-sparse/counts/counts.ts';
import { deitTinyParameters } from '../../../../gpu-worker/block-sparse/counts/deit.ts';
import { kroneckerFactors, kroneckerProduct } from '../../../../gpu-worker/block-sparse/layer/layer.ts';
import { gridOf, type Tile } from '../../../../gpu-worker/block-sparse/tiles/tiles.ts';
import * as g from '../../../../gpu-worker/graph/index.ts';
import { executedMacs } from '../../../support/executed-macs.ts';

/** The cheapest trained layer of `rank` terms: grid size c = p q and number of parameters (4). */
const cheapestShape = (inputs: number, outputs: number, rank: number) => ({
  tiles: Math.sqrt((rank * inputs * outputs) / (1 + rank)),
  parameters: 2 * Math.sqrt(rank * (1 + rank) * inputs * outputs),
});

const square = (tile: number, rank: number) => layerCounts(gridOf(1024, 1024, [tile, tile]), rank);

describe('counts of a layer', () => {
  it('give the published ratios of a 1024 x 1024 layer', () => {
    const ratio = (tile: number, rank: number) => square(tile, rank).parameters / 1024 ** 2;
    const rounded = [2, 4, 8].map((tile) => [1, 2, 4].map((rank) => Number(ratio(tile, rank).toFixed(3))));
    expect(rounded).toEqual([
      [0.5, 0.75, 1.25],
      [0.125, 0.188, 0.313],
      [0.031, 0.047, 0.078],
    ]);
    const operations = [2, 4, 8].map((tile) => [1, 2, 4].map((rank) => square(tile, rank).macs / 1024 ** 2));
    expect(operations.map((row) => row.map((value) => value.toFixed(2)))).toEqual([
      ['0.50', '1.00', '2.01'],
      ['0.25', '0.51', '1.02'],
      ['0.13', '0.27', '0.53'],
    ]);
  });

  it('give the published example of 128 numbers for 2,048, which is the cheapest shape of all', () => {
    for (const tile of [
      [4, 16],
      [8, 8],
    ] as const) {
      expect(layerCounts(gridOf(8, 256, tile), 1).parameters).toBe(128);
    }
    expect(cheapestShape(8, 256, 1)).toEqual({ tiles: 32, parameters: 128 });
  });

  it('give the published sizes of DeiT-tiny', () => {
    const sizes = [
      deitTinyParameters({ tile: [4, 4], rank: 4 }),
      deitTinyParameters({ tile: [8, 8], rank: 4 }),
      deitTinyParameters(null),
    ];
    expect(sizes).toEqual([1_884_116, 662_308, 5_543_716]);
  });
});

/** Layers where either order is cheaper. */
const LAYERS: { inputs: number; outputs: number; tile: Tile; rank: number; order: string }[] = [
  { inputs: 64, outputs: 64, tile: [8, 8], rank: 3, order: 'b-first' },
  { inputs: 24, outputs: 15, tile: [4, 5], rank: 2, order: 'a-first' },
  { inputs: 784, outputs: 10, tile: [8, 2], rank: 2, order: 'b-first' },
  { inputs: 18, outputs: 24, tile: [2, 6], rank: 4, order: 'a-first' },
];

describe.each(LAYERS)('$inputs x $outputs, tiles $tile, rank $rank', ({ inputs, outputs, tile, rank, order }) => {
  const rows = 12;
  const counts = layerCounts(gridOf(inputs, outputs, tile), rank);
  const x = g.parameter('x', [rows, inputs]);
  const factors = kroneckerFactors('l', [inputs, outputs], { tile, rank });
  const a = g.mul(factors.a, factors.s);

  it('executes the counted multiply-adds forward, in one block or in several', async () => {
    expect(counts.order).toBe(order);
    for (const blockRows of [3, 12]) {
      const y = g.kroneckerMatmul(x, a, factors.b, { blockRows });
      expect(await executedMacs(g.compile({ y }))).toBe(rows * counts.macs);
    }
  });

  it('executes twice as many backward, and once more what is recomputed', async () => {
    const y = g.kroneckerMatmul(x, a, factors.b, { blockRows: 3 });
    const slopes = g.gradients(g.sum(g.mul(y, g.input('gy', [rows, outputs]))), [x, factors.s, factors.a, factors.b]);
    const program = g.compile(Object.fromEntries(slopes.map((slope, i) => [`o${i}`, slope])));
    expect(await executedMacs(program)).toBe(rows * (counts.backwardMacs + counts.recomputedMacs));
  });

  it('counts as many trained numbers as the layer has', () => {
    const numbers = [factors.s, factors.a, factors.b].map(({ shape }) =>
      (shape as number[]).reduce((p, d) => p * d, 1),
    );
    expect(numbers.reduce((sum, n) => sum + n)).toBe(counts.parameters);
  });

  it('counts a built matrix as what it costs: its forming once, then a dense product', async () => {
    const y = kroneckerProduct(x, factors, true);
    expect(await executedMacs(g.compile({ y }))).toBe(rows * counts.denseMacs + rank * counts.denseParameters);
  });
});

it('counts inference by live tiles, the cheaper of tiles and factors', () => {
  const grid = gridOf(64, 64, [8, 8]);
  expect(inferenceCounts(grid, null, 10)).toEqual({ macs: 640, numbers: 640, denseMacs: 4096 });
  expect(inferenceCounts(grid, 1, 60)).toEqual({ macs: 8 * 64 + 60 * 8, numbers: 60 + 64, denseMacs: 4096 });
});
