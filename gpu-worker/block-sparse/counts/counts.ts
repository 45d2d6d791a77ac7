/** Parameters and multiply-adds of layers by formula; multiply-adds are those of one row, biases and additions not counted. */
import type { Grid } from '../tiles/tiles.ts';

type LayerCounts = {
  /** p q (1 + r) + r m n trained numbers, without the bias. */
  parameters: number;
  denseParameters: number;
  aFirst: number;
  bFirst: number;
  /** Of the cheaper order. */
  macs: number;
  order: 'a-first' | 'b-first';
  denseMacs: number;
  /** Twice the forward pass: one pair of products for the factors, one for the input. */
  backwardMacs: number;
  /** What the backward pass computes again instead of keeping: the first of the two products. */
  recomputedMacs: number;
};

/** Counts (3), (6a) and (6b) of a Kronecker layer of `rank` terms. */
export function layerCounts({ p, q, m, n }: Grid, rank: number): LayerCounts {
  const bFirst = rank * (p * m * n + p * q * n);
  const aFirst = rank * (p * q * m + q * m * n);
  const order = aFirst < bFirst ? 'a-first' : 'b-first';
  const macs = Math.min(aFirst, bFirst);
  return {
    parameters: p * q * (1 + rank) + rank * m * n,
    denseParameters: p * m * q * n,
    aFirst,
    bFirst,
    macs,
    order,
    denseMacs: p * m * q * n,
    backwardMacs: 2 * macs,
    recomputedMacs: rank * (order === 'b-first' ? p * m * n : p * q * m),
  };
}

/** Inference with `live` tiles: the cheaper of plain block-sparse tiles and the factors. */
export function inferenceCounts({ p, q, m, n }: Grid, rank: number | null, live: number) {
  const tiles = { macs: live * m * n, numbers: live * m * n };
  const factored = rank === null ? null : { macs: rank * (p * m * n + live * n), numbers: rank * live + rank * m * n };
  return {
    macs: Math.min(tiles.macs, factored?.macs ?? Number.POSITIVE_INFINITY),
    numbers: Math.min(tiles.numbers, factored?.numbers ?? Number.POSITIVE_INFINITY),
    denseMacs: p * q * m * n,
  };
}
