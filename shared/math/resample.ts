/**
 * Bootstrap intervals by weights, bias-corrected and accelerated (BCa; Efron 1987) or by percentiles: a statistic is
 * evaluated for how often each row was drawn, so that everything that depends on the rows alone (sorting above all) happens
 * once. Rows are drawn within strata, whose sizes stay fixed.
 */

import { quantile } from './quantile.ts';
import type { RandomStream } from './random.ts';
import { normalCdf, normalQuantile } from './special.ts';

/** Writes `size` statistics for row weights (counts per row; rows of a stratum are contiguous) into `out`. */
export type WeightedStatistics = (weights: Uint16Array, out: Float64Array) => void;

type Resampling = {
  /** Rows per stratum, in order. */
  strata: readonly number[];
  size: number;
  evaluate: WeightedStatistics;
  draws: number;
  random: RandomStream;
  /** Coverage, such as 0.95. */
  level?: number;
  /** Blocks of the grouped jackknife behind the acceleration; the ordinary jackknife where there are no more rows. */
  blocks?: number;
};
/** A bootstrap interval; `error` is the standard deviation over the draws. */
export type Interval = { estimate: number; low: number; high: number; error: number };

/** Multinomial counts of one bootstrap draw: n draws with replacement within every stratum. */
export function drawWeights(strata: readonly number[], words: Uint32Array, weights: Uint16Array): void {
  weights.fill(0);
  let from = 0;
  for (const count of strata) {
    const scale = count / 4294967296;
    for (let i = from; i < from + count; i++) {
      weights[from + ((words[i]! * scale) | 0)]! += 1;
    }
    from += count;
  }
}

/**
 * Acceleration of every statistic from leave-one-block-out values; blocks are random within strata. The influence of a
 * block is the sum of its rows' influences, and second and third moments of independent rows add up: the ratio that the
 * acceleration is comes out as with one row per block.
 */
function accelerations({ strata, size, evaluate, random, blocks = 100 }: Resampling): Float64Array {
  const total = strata.reduce((sum, count) => sum + count, 0);
  const used = Math.min(blocks, total);
  const block = new Uint16Array(total);
  let from = 0;
  strata.forEach((count, s) => {
    const order = random.derive(`jackknife/${s}`).permutation(count);
    // Counting on from the last stratum keeps the blocks equal when strata are smaller than their number.
    for (let i = 0; i < count; i++) {
      block[from + order[i]!] = (from + i) % used;
    }
    from += count;
  });
  const values = Array.from({ length: used }, () => new Float64Array(size));
  const weights = new Uint16Array(total);
  for (let b = 0; b < used; b++) {
    for (let i = 0; i < total; i++) {
      weights[i] = block[i] === b ? 0 : 1;
    }
    evaluate(weights, values[b]!);
  }
  return Float64Array.from({ length: size }, (_, j) => {
    let mean = 0;
    for (const value of values) {
      mean += value[j]! / used;
    }
    let [second, third] = [0, 0];
    for (const value of values) {
      const d = mean - value[j]!;
      second += d * d;
      third += d * d * d;
    }
    const a = third / (6 * second ** 1.5);
    return Number.isFinite(a) ? a : 0;
  });
}

/** Every statistic on the data, and in each draw. */
function drawn({ strata, size, evaluate, draws, random }: Resampling): {
  estimates: Float64Array;
  samples: Float64Array[];
} {
  const total = strata.reduce((sum, count) => sum + count, 0);
  const estimates = new Float64Array(size);
  const weights = new Uint16Array(total).fill(1);
  evaluate(weights, estimates);
  const samples = Array.from({ length: size }, () => new Float64Array(draws));
  const words = new Uint32Array(total);
  const out = new Float64Array(size);
  const stream = random.derive('bootstrap');
  for (let draw = 0; draw < draws; draw++) {
    stream.fillWords(words, draw * total);
    drawWeights(strata, words, weights);
    evaluate(weights, out);
    for (let j = 0; j < size; j++) {
      samples[j]![draw] = out[j]!;
    }
  }
  return { estimates, samples };
}

/**
 * The interval of one statistic between the quantiles that `edges` names, of the draws in which it is defined. One that is
 * undefined on the data has NaN throughout.
 */
function intervalOf(
  estimate: number,
  all: Float64Array,
  edges: (sample: Float64Array) => { low: number; high: number },
): Interval {
  const sample = all.filter((value) => Number.isFinite(value)).sort();
  const n = sample.length;
  if (!Number.isFinite(estimate) || n === 0) {
    return { estimate: Number.NaN, low: Number.NaN, high: Number.NaN, error: Number.NaN };
  }
  let [mean, square] = [0, 0];
  for (const value of sample) {
    mean += value;
  }
  mean /= n;
  for (const value of sample) {
    square += (value - mean) ** 2;
  }
  const { low, high } = edges(sample);
  return {
    estimate,
    low: quantile(sample, low),
    high: quantile(sample, high),
    error: n > 1 ? Math.sqrt(square / (n - 1)) : 0,
  };
}

/** Percentile intervals of every statistic (Efron 1979); undefined statistics as in `bootstrapIntervals`. */
export function percentileIntervals(resampling: Resampling): Interval[] {
  const { level = 0.95 } = resampling;
  const { estimates, samples } = drawn(resampling);
  const edges = () => ({ low: 0.5 - level / 2, high: 0.5 + level / 2 });
  return samples.map((all, j) => intervalOf(estimates[j]!, all, edges));
}

/** BCa intervals of every statistic, as `bootstrap` gives them. */
export const bootstrapIntervals = (resampling: Resampling): Interval[] => bootstrap(resampling).intervals;

/**
 * Every statistic in each draw, and its BCa interval, widened to hold the estimate where a statistic that cannot fall below 0 is so biased
 * under resampling that they would miss it. A statistic that a draw leaves undefined (NaN) is judged by the other draws; one that
 * is undefined on the data has NaN throughout; one that never varies has an interval of width 0.
 */
export function bootstrap(resampling: Resampling): { samples: Float64Array[]; intervals: Interval[] } {
  const { level = 0.95 } = resampling;
  const { estimates, samples } = drawn(resampling);
  const acceleration = accelerations(resampling);
  const z = normalQuantile(0.5 + level / 2);
  const intervals = samples.map((all, j) => {
    const estimate = estimates[j]!;
    const interval = intervalOf(estimate, all, (sample) => {
      const n = sample.length;
      let below = 0;
      for (const value of sample) {
        below += value < estimate ? 1 : value === estimate ? 0.5 : 0;
      }
      const bias = normalQuantile(Math.min(Math.max(below / n, 0.5 / n), 1 - 0.5 / n));
      const edge = (sign: number): number => {
        const shifted = bias + sign * z;
        return normalCdf(bias + shifted / (1 - acceleration[j]! * shifted));
      };
      return { low: edge(-1), high: edge(1) };
    });
    return { ...interval, low: Math.min(interval.low, estimate), high: Math.max(interval.high, estimate) };
  });
  return { samples, intervals };
}
