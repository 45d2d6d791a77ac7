/** Tiles of a weight matrix: W of I x O = (p m) x (q n), cut into p x q tiles of m x n (rows times matrix, y = x W). */
import { SextantError } from '../../../shared/contracts/problem.ts';

/** Height (input side) and width (output side) of a tile. */
export type Tile = readonly [m: number, n: number];
export type Grid = { p: number; q: number; m: number; n: number };

export const gridOf = (inputs: number, outputs: number, [m, n]: Tile): Grid => ({
  p: inputs / m,
  q: outputs / n,
  m,
  n,
});
export const divides = (inputs: number, outputs: number, [m, n]: Tile): boolean =>
  inputs % m === 0 && outputs % n === 0;

/** The divisors of `size` next to `wanted`, below and above. */
function nearestDivisors(size: number, wanted: number): number[] {
  const divisors = Array.from({ length: size }, (_, i) => i + 1).filter((d) => size % d === 0);
  const [below, above] = [divisors.filter((d) => d < wanted).at(-1), divisors.find((d) => d > wanted)];
  return [below, above].filter((d) => d !== undefined);
}

/**
 * The grid of a layer.
 * @throws SextantError `validation_failed` where the tile does not divide it, with the dimension and the nearest sizes that do
 */
export function requireGrid(layer: string, inputs: number, outputs: number, tile: Tile): Grid {
  const sides = [
    ['inputs', inputs, tile[0]],
    ['outputs', outputs, tile[1]],
  ] as const;
  for (const [side, size, wanted] of sides) {
    if (size % wanted === 0) {
      continue;
    }
    throw new SextantError(
      'validation_failed',
      `tiles of ${tile.join(' x ')} do not divide layer '${layer}': ${wanted} does not divide its ${size} ${side}; ` +
        `the nearest sizes that do are ${nearestDivisors(size, wanted).join(' and ')}`,
    );
  }
  return gridOf(inputs, outputs, tile);
}

/** Calls `visit` with the tile's number (row-major in the grid) and the offset and length of each of its rows in W. */
export function eachTileRow({ p, q, m, n }: Grid, visit: (tile: number, offset: number, row: number) => void): void {
  for (let a = 0; a < p; a++) {
    for (let c = 0; c < q; c++) {
      for (let k = 0; k < m; k++) {
        visit(a * q + c, (a * m + k) * q * n + c * n, k);
      }
    }
  }
}

/** Frobenius norm of every tile of W, [p q]. */
export function tileNorms(weight: ArrayLike<number>, grid: Grid): Float64Array {
  const squares = new Float64Array(grid.p * grid.q);
  eachTileRow(grid, (tile, offset) => {
    for (let l = 0; l < grid.n; l++) {
      squares[tile] = squares[tile]! + weight[offset + l]! ** 2;
    }
  });
  return squares.map(Math.sqrt);
}

/** 1 for every tile of W that holds a number other than zero, [p q]. A norm may underflow to zero; this does not. */
export function liveTiles(weight: ArrayLike<number>, grid: Grid): Uint8Array {
  const live = new Uint8Array(grid.p * grid.q);
  eachTileRow(grid, (tile, offset) => {
    for (let l = 0; l < grid.n; l++) {
      if (weight[offset + l] !== 0) {
        live[tile] = 1;
      }
    }
  });
  return live;
}

/** Tiles that are exactly zero. */
export const zeroTiles = (weight: ArrayLike<number>, grid: Grid): number =>
  liveTiles(weight, grid).reduce((zeros, live) => zeros + 1 - live, 0);
