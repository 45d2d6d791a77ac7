import { describe, expect, it } from 'vitest';
import { fromBlockCsr, toBlockCsr } from '../../../../gpu-worker/block-sparse/tiles/block-csr.ts';
import { denseWeight, factorise, folded } from '../../../../gpu-worker/block-sparse/tiles/factors.ts';
import {
  eachTileRow,
  gridOf,
  requireGrid,
  tileNorms,
  zeroTiles,
} from '../../../../gpu-worker/block-sparse/tiles/tiles.ts';
import { stream } from '../../../../shared/math/random.ts';

const grid = { p: 6, q: 5, m: 3, n: 4 };
const seed = 11;

/** A random matrix with `live` tiles. */
function blockSparse(live: number): Float64Array {
  const weight = stream(seed, 'weight').normal(grid.p * grid.m * grid.q * grid.n);
  const kept = new Set(stream(seed, 'tiles').subset(grid.p * grid.q, live));
  eachTileRow(grid, (tile, offset) => {
    if (!kept.has(tile)) {
      weight.fill(0, offset, offset + grid.n);
    }
  });
  return weight;
}
const distance = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.sqrt(Array.from(a, (v, i) => (v - b[i]!) ** 2).reduce((s, v) => s + v, 0));

describe('factorisation', () => {
  it('rebuilds a block-sparse matrix by as many terms as it has independent tiles, with the same zeros', () => {
    const weight = blockSparse(7);
    const found = factorise(weight, grid);
    expect(found.rank).toBe(7);
    const fit = found.fit(found.rank);
    expect(distance(denseWeight(fit), weight)).toBeLessThan(1e-12);
    expect(zeroTiles(denseWeight(fit), grid)).toBe(23);
  });

  it.each([1, 3, 6, 12])('errs by the tail of the singular values with %i terms', (terms) => {
    const weight = blockSparse(30);
    const found = factorise(weight, grid);
    const norm = distance(weight, new Float64Array(weight.length));
    expect(distance(denseWeight(found.fit(terms)), weight) / norm).toBeCloseTo(found.error(terms), 12);
    // What the note on the paper saw with another seed: values vary a little.
    expect(Math.abs(found.error(terms) - { 1: 0.892, 3: 0.708, 6: 0.493, 12: 0 }[terms]!)).toBeLessThan(0.06);
  });

  it('folds S into A without changing the matrix', () => {
    const random = stream(seed, 'fold');
    const s = random
      .derive('s')
      .normal(30)
      .map((value, i) => (i % 4 === 0 ? 0 : value));
    const factors = { grid, rank: 2, s, a: random.derive('a').normal(60), b: random.derive('b').normal(24) };
    const whole = folded(factors);
    expect([...new Set(whole.s)].sort()).toEqual([0, 1]);
    expect(distance(denseWeight(whole), denseWeight(factors))).toBeLessThan(1e-5);
  });
});

describe('block compressed sparse rows', () => {
  it('hold the live tiles in order, and give the matrix back', () => {
    const weight = Float32Array.from(blockSparse(9));
    const stored = toBlockCsr(weight, grid);
    expect(stored.crowIndices.at(-1)).toBe(9n);
    expect(stored.values).toHaveLength(9 * 12);
    expect(fromBlockCsr(stored)).toEqual(weight);
    for (let a = 0; a < grid.p; a++) {
      const row = [...stored.colIndices.subarray(Number(stored.crowIndices[a]), Number(stored.crowIndices[a + 1]))];
      expect(row).toEqual([...row].sort((x, y) => Number(x - y)));
    }
  });

  it('hold a matrix of zeros, and one without any', () => {
    const none = toBlockCsr(new Float32Array(360), grid);
    expect([none.values.length, Number(none.crowIndices.at(-1))]).toEqual([0, 0]);
    expect(fromBlockCsr(none)).toEqual(new Float32Array(360));
    expect(toBlockCsr(new Float32Array(360).fill(1), grid).colIndices).toHaveLength(30);
  });
});

describe('tiles', () => {
  it('are zero only where every number is exactly zero, however small the others are', () => {
    const weight = new Float32Array(360);
    weight[5] = 1e-30;
    expect(zeroTiles(weight, grid)).toBe(29);
    expect(tileNorms(weight, grid).filter((norm) => norm > 0)).toHaveLength(1);
    expect(zeroTiles(Float32Array.of(-0, 0, 0, 0), gridOf(2, 2, [1, 2]))).toBe(2);
  });

  it('that do not divide a layer are refused with the dimension and the nearest sizes that do', () => {
    expect(() => requireGrid('head', 784, 10, [3, 2])).toThrow(/'head'.*3 does not divide its 784 inputs.*2 and 4/);
    expect(() => requireGrid('head', 784, 10, [4, 4])).toThrow(/4 does not divide its 10 outputs.*2 and 5/);
  });
});
