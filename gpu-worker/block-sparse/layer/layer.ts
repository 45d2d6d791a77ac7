/** The layer as a graph: y = x W + b with W = sum_i (S * A_i) kron B_i, which is formed only where that is asked for. */
import * as g from '../../graph/index.ts';
import { normal, ones } from '../../nn/index.ts';
import { gridOf, type Tile } from '../tiles/tiles.ts';

/** S [p, q], A [r, p, q], B [r, m, n]. */
export type FactorTensors = { s: g.Tensor; a: g.Tensor; b: g.Tensor };

export const factorNames = (layer: string) => ({ s: `${layer}.S`, a: `${layer}.A`, b: `${layer}.B` }) as const;

/**
 * Parameters `name.S`, `name.A`, `name.B`. S starts at 1, B standard normal, A normal such that the entries of W have the
 * variance gain^2 / inputs for every rank.
 */
export function kroneckerFactors(
  name: string,
  [inputs, outputs]: readonly [number, number],
  { tile, rank, gain = 1 }: { tile: Tile; rank: number; gain?: number },
): FactorTensors {
  const { p, q, m, n } = gridOf(inputs, outputs, tile);
  const names = factorNames(name);
  return {
    s: g.parameter(names.s, [p, q], ones),
    a: g.parameter(names.a, [rank, p, q], normal(gain / Math.sqrt(inputs * rank))),
    b: g.parameter(names.b, [rank, m, n], normal()),
  };
}

/** The dense matrix [p m, q n] of these factors: one product and one exchange of axes. */
export function builtWeight({ s, a, b }: FactorTensors): g.Tensor {
  const [r, p, q] = a.shape as [number, number, number];
  const [, m, n] = b.shape as [number, number, number];
  const tiles = g.matmul(g.reshape(g.mul(a, s), [r, p * q]), g.reshape(b, [r, m * n]), { transA: true });
  return g.reshape(g.transpose(g.reshape(tiles, [p, q, m, n]), [0, 2, 1, 3]), [p * m, q * n]);
}

/** x W without W, in the cheaper order; with `build`, W is formed and multiplied as a dense layer would be. */
export const kroneckerProduct = (x: g.Tensor, { s, a, b }: FactorTensors, build = false): g.Tensor =>
  build ? g.matmul(x, builtWeight({ s, a, b })) : g.kroneckerMatmul(x, g.mul(a, s), b);
