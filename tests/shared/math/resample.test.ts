import { describe, expect, it } from 'vitest';
import { stream } from '../../../shared/math/random.ts';
import { bootstrapIntervals, drawWeights } from '../../../shared/math/resample.ts';

/** Weighted mean and weighted variance of the rows, over all strata. */
const moments =
  (x: Float64Array) =>
  (weights: Uint16Array, out: Float64Array): void => {
    let [total, first, second] = [0, 0, 0];
    for (let i = 0; i < x.length; i++) {
      total += weights[i]!;
      first += weights[i]! * x[i]!;
      second += weights[i]! * x[i]! ** 2;
    }
    out[0] = first / total;
    out[1] = second / total - (first / total) ** 2;
  };

describe('bootstrap weights', () => {
  it('keep the size of every stratum and are multinomial', () => {
    const strata = [3, 50, 1];
    const weights = new Uint16Array(54);
    const words = new Uint32Array(54);
    let [sum, square] = [0, 0];
    for (let draw = 0; draw < 2000; draw++) {
      stream(1, 'w').fillWords(words, 54 * draw);
      drawWeights(strata, words, weights);
      const part = (from: number, to: number) => weights.subarray(from, to).reduce((s, w) => s + w, 0);
      expect([part(0, 3), part(3, 53), part(53, 54)]).toEqual(strata);
      sum += weights[20]!;
      square += weights[20]! ** 2;
    }
    expect(sum / 2000).toBeCloseTo(1, 1);
    expect(square / 2000 - (sum / 2000) ** 2).toBeCloseTo(0.98, 0);
  });
});

describe('BCa intervals', () => {
  it('cover the mean of a skewed population about as often as they say, and lean to its long tail', () => {
    let [covered, lean] = [0, 0];
    const worlds = 300;
    for (let seed = 0; seed < worlds; seed++) {
      const x = stream(seed, 'x')
        .uniform(60)
        .map((u) => -Math.log(1 - u));
      const [mean] = bootstrapIntervals({
        strata: [60],
        size: 2,
        evaluate: moments(x),
        draws: 400,
        random: stream(seed, 'b'),
        level: 0.9,
      });
      covered += Number(mean!.low <= 1 && 1 <= mean!.high);
      lean += mean!.high + mean!.low - 2 * mean!.estimate;
    }
    expect(covered / worlds).toBeGreaterThan(0.84);
    expect(covered / worlds).toBeLessThan(0.95);
    expect(lean).toBeGreaterThan(0);
  });

  it('have the acceleration of the ordinary jackknife, up to the noise of blocks', () => {
    const n = 2000;
    const x = stream(5, 'x')
      .uniform(n)
      .map((u) => -Math.log(1 - u));
    const run = (blocks: number) =>
      bootstrapIntervals({ strata: [n], size: 2, evaluate: moments(x), draws: 2000, random: stream(5, 'b'), blocks });
    const [coarse, fine] = [run(100), run(n)];
    for (let k = 0; k < 2; k++) {
      const width = fine[k]!.high - fine[k]!.low;
      expect(Math.abs(coarse[k]!.low - fine[k]!.low)).toBeLessThan(0.05 * width);
      expect(Math.abs(coarse[k]!.high - fine[k]!.high)).toBeLessThan(0.05 * width);
    }
  });

  it('have width 0 for what never varies and NaN for what is not defined', () => {
    const evaluate = (_: Uint16Array, out: Float64Array) => out.set([3, Number.NaN]);
    const [constant, undefinedOne] = bootstrapIntervals({
      strata: [5],
      size: 2,
      evaluate,
      draws: 20,
      random: stream(1, 'c'),
    });
    expect(constant).toEqual({ estimate: 3, low: 3, high: 3, error: 0 });
    expect(undefinedOne!.estimate).toBeNaN();
  });
});
