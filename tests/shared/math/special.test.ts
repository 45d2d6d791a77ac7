import { describe, expect, it } from 'vitest';
import { fallingRoot } from '../../../shared/math/roots.ts';
import * as special from '../../../shared/math/special.ts';

describe('special functions', () => {
  it('give the tabulated values', () => {
    expect(special.logGamma(0.5)).toBeCloseTo(Math.log(Math.sqrt(Math.PI)), 13);
    expect(special.logGamma(11)).toBeCloseTo(Math.log(3628800), 12);
    expect(special.erf(0.5)).toBeCloseTo(0.5204998778130465, 15);
    expect(special.erf(-2.5)).toBeCloseTo(-0.999593047982555, 15);
    expect([special.erf(0), special.erf(30), special.erf(Number.NEGATIVE_INFINITY)]).toEqual([0, 1, -1]);
    expect(special.erf(1e-9) / 1.128379167095513e-9).toBeCloseTo(1, 14);
    expect(special.erfc(0.5)).toBeCloseTo(0.4795001221869535, 14);
    expect(special.erfc(3) / 2.209049699858544e-5).toBeCloseTo(1, 12);
    expect(special.erfc(10) / 2.088487583762545e-45).toBeCloseTo(1, 12);
    expect(special.normalCdf(1.959963984540054)).toBeCloseTo(0.975, 14);
    expect(special.normalQuantile(0.975)).toBeCloseTo(1.959963984540054, 12);
    expect(special.sigmoid(-800)).toBe(0);
    expect(special.sigmoid(800)).toBe(1);
    expect(special.softplus(800)).toBe(800);
  });

  it('invert the normal distribution over its whole range', () => {
    for (const p of [1e-12, 1e-5, 0.02, 0.0243, 0.3, 0.5, 0.77, 0.98, 1 - 1e-9]) {
      expect(special.normalCdf(special.normalQuantile(p)) / p).toBeCloseTo(1, 10);
    }
    expect(() => special.normalQuantile(1.1)).toThrow(RangeError);
  });

  it('sum binomial tails exactly', () => {
    const naive = (k: number, n: number, p: number): number => {
      let [total, choose] = [0, 1];
      for (let i = 0; i <= k; i++) {
        total += choose * p ** i * (1 - p) ** (n - i);
        choose = (choose * (n - i)) / (i + 1);
      }
      return total;
    };
    for (const [k, n, p] of [
      [0, 5, 0.3],
      [3, 9, 0.5],
      [8, 9, 0.9],
      [20, 35, 0.5],
      [40, 60, 0.4],
    ] as const) {
      expect(special.binomialCdf(k, n, p)).toBeCloseTo(naive(k, n, p), 12);
    }
    expect(special.binomialCdf(5, 35, 0.5)).toBeCloseTo(1.12e-5, 7);
    expect(special.binomialCdf(-1, 4, 0.5)).toBe(0);
    expect(special.binomialCdf(4, 4, 0.5)).toBe(1);
    expect(special.binomialCdf(4900, 10_000, 0.5)).toBeCloseTo(special.normalCdf((4900.5 - 5000) / 50), 4);
  });
});

describe('fallingRoot', () => {
  it('finds roots over hundreds of orders of magnitude', () => {
    for (const root of [1e-200, 3e-9, 1, 7.5e11, 1e250]) {
      expect(fallingRoot((x) => Math.log(root) - Math.log(x)) / root).toBeCloseTo(1, 11);
    }
    expect(() => fallingRoot(() => 1)).toThrow(RangeError);
  });
});
