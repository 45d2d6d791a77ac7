/** Counts of a whole model for one row of its input, by formula: trained forward, a training step, inference, and dense. */

import type { LinearLayer } from '../methods/method.ts';
import type { LinearShape } from '../training/model.ts';
import { inferenceCounts, layerCounts } from './counts.ts';

export type MacCounts = {
  /** Multiply-adds of the forward pass while training. */
  forward: number;
  /** Of a training step: forward, twice as much backward, and what the backward pass computes again. */
  training: number;
  recomputed: number;
  /** Of inference with the tiles that are left. */
  inference: number;
  /** Of the dense model's forward pass. */
  dense: number;
  /** What a profiler finds that does not know the layers: the forward pass without them. */
  profiler: number;
};

/**
 * @param shapes every linear layer
 * @param other multiply-adds outside of them
 * @param layers those that are block-wise sparse, all others count as dense
 * @param rank terms of the Kronecker sums; null where the sparse layers are trained as dense matrices
 * @param live tiles of each layer that are not zero
 */
export function macsOf(
  shapes: readonly LinearShape[],
  other: number,
  {
    layers,
    rank,
    live,
  }: { layers: readonly LinearLayer[]; rank: number | null; live: Readonly<Record<string, number>> },
): MacCounts {
  const total = { forward: 0, recomputed: 0, inference: 0, dense: 0, known: 0 };
  for (const { name, inputs, outputs, rows } of shapes) {
    const layer = layers.find((other) => other.name === name);
    const dense = rows * inputs * outputs;
    total.dense += dense;
    const factored = layer && rank !== null ? layerCounts(layer.grid, rank) : null;
    total.forward += factored ? rows * factored.macs : dense;
    total.recomputed += factored ? rows * factored.recomputedMacs : 0;
    total.inference += layer
      ? rows * inferenceCounts(layer.grid, rank, live[name] ?? layer.grid.p * layer.grid.q).macs
      : dense;
    total.known += factored ? 0 : dense;
  }
  const forward = total.forward + other;
  return {
    forward,
    training: 3 * forward + total.recomputed,
    recomputed: total.recomputed,
    inference: total.inference + other,
    dense: total.dense + other,
    profiler: total.known + other,
  };
}
