import { describe, expect, it } from 'vitest';
import { macsOf } from '../../../../gpu-worker/block-sparse/counts/model-counts.ts';
import { kroneckerMethod } from '../../../../gpu-worker/block-sparse/methods/kronecker.ts';
import { type NetworkSpec, otherMacs } from '../../../../gpu-worker/block-sparse/networks/network.ts';
import type { Tile } from '../../../../gpu-worker/block-sparse/tiles/tiles.ts';
import {
  linearShapes,
  type ModelSpec,
  modelLoss,
  modelOutput,
  sparseLayers,
} from '../../../../gpu-worker/block-sparse/training/model.ts';
import * as g from '../../../../gpu-worker/graph/index.ts';
import { executedMacs } from '../../../support/executed-macs.ts';

const NETWORKS: { network: NetworkSpec; tile: Tile; side: number; dense: number }[] = [
  { network: { kind: 'linear' }, tile: [8, 2], side: 16, dense: 256 * 10 },
  { network: { kind: 'mlp', widths: [24, 12] }, tile: [4, 4], side: 8, dense: 64 * 24 + 24 * 12 + 12 * 10 },
  { network: { kind: 'lenet' }, tile: [4, 4], side: 28, dense: 416_520 },
  { network: { kind: 'vit', patch: 4, width: 16, depth: 2, heads: 2 }, tile: [4, 8], side: 16, dense: 0 },
];
const rows = 2;

describe.each(NETWORKS)('counts of $network.kind', ({ network, tile, side, dense }) => {
  const image = { height: side, width: side, channels: 1 };
  const spec: ModelSpec = { network, inputs: side * side, task: { kind: 'classes', outputs: 10 }, image };
  const shapes = linearShapes(spec);
  const layers = sparseLayers(shapes, tile);
  const penalty = { lambda: 0, ramp: 1, steps: 1, freezeFrom: 2 };
  const method = kroneckerMethod({
    rank: 2,
    momentum: 0,
    penalty,
    decay: { kind: 'decoupled', value: 0 },
    gain: 1,
    build: false,
  });
  const counts = macsOf(shapes, otherMacs(network, image), { layers, rank: 2, live: {} });
  // As a parameter, so that the gradient by the input is computed too, as it is in every layer but the first.
  const x = g.parameter('x', [rows, side * side]);
  const output = modelOutput(spec, x, { method, layers, gain: 1 });

  it('are what the emitted program executes forward; no layer goes uncounted', async () => {
    expect(layers.length).toBeGreaterThan(0);
    expect(await executedMacs(g.compile({ output }))).toBe(rows * counts.forward);
    expect(counts.profiler).toBeLessThan(counts.forward);
  });

  it('and in a whole training step, where one block of rows keeps what several would compute again', async () => {
    const loss = modelLoss(spec.task, output);
    const leaves = g.namedLeaves([loss]).filter(({ node }) => node.operator === g.Parameter);
    const slopes = g.gradients(loss, leaves);
    const program = g.compile(Object.fromEntries(slopes.map((slope, i) => [`o${i}`, slope])));
    expect(await executedMacs(program)).toBe(rows * (counts.training - counts.recomputed));
  });

  it('of the dense model are the published ones', () => {
    if (dense > 0) {
      expect(counts.dense).toBe(dense);
    }
    expect(layers.every(({ grid }) => grid.m === tile[0])).toBe(true);
  });
});
