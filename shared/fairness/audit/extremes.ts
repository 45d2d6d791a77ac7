/**
 * Intervals of extremes: the largest |difference| over pairs, the smallest of several differences, the largest distance
 * of two distribution functions. Resampling an extreme itself does not work: it is biased away from 0 and, where the
 * differences are small, not even near normal (Andrews 2000). Both ends come from the intervals of the signed differences
 * instead (intersection bounds: Chernozhukov, Lee and Rosen 2013):
 *
 *   upper end: the largest of the differences' own upper ends. The difference that is truly the largest lies below its own
 *   with the stated confidence, so the largest of all upper ends does too.
 *   lower end: the largest of lower ends that hold for all differences at once, by the quantile of the largest studentised
 *   deviation over the draws (Romano and Wolf 2005). Otherwise the luckiest of many small differences would pass for a real
 *   one. A quantile of a few hundred draws is itself uncertain, and the largest of many such ends picks the one that erred
 *   furthest: each difference reaches as far as its own interval or its standard error says, whichever is more.
 *
 * Coverage is at least the stated one, and above it where the truth can be reached from both signs or the widest pair is far
 * ahead of the others: `tests/studies/results/coverage.md`.
 */
import { quantile } from '../../math/quantile.ts';
import type { Interval } from '../../math/resample.ts';
import { normalQuantile } from '../../math/special.ts';

/**
 * A signed difference: its own interval, its values in the bootstrap's draws (equally many for all differences), and the
 * rows of the smaller group it is of.
 */
export type Difference = { interval: Interval; sample: Float64Array; rows: number };

const UNDEFINED: Interval = { estimate: Number.NaN, low: Number.NaN, high: Number.NaN, error: Number.NaN };

/** Standard deviation of the finite values around `centre`; 0 where there are none. */
function spread(sample: Float64Array, centre: number): number {
  let [square, count] = [0, 0];
  for (const value of sample) {
    if (!Number.isFinite(value)) {
      continue;
    }
    square += (value - centre) ** 2;
    count += 1;
  }
  return count > 1 ? Math.sqrt(square / (count - 1)) : 0;
}

/** How much too small the draws' spread is in groups of so few rows: they divide by n, not n - 1. */
const smallSample = (rows: number): number => (rows > 1 ? Math.sqrt(rows / (rows - 1)) : 1);

/** Student's quantile over the normal one `z` of two groups of `rows` rows (first term of the Cornish-Fisher expansion). */
const studentRatio = (z: number, rows: number): number => 1 + (z ** 2 + 1) / (8 * Math.max(1, rows - 1));

/** Mean of the finite values. */
function meanOf(sample: Float64Array): number {
  let [sum, count] = [0, 0];
  for (const value of sample) {
    if (!Number.isFinite(value)) {
      continue;
    }
    sum += value;
    count += 1;
  }
  return count > 0 ? sum / count : 0;
}

/**
 * The `level` quantile over draws of the largest studentised deviation over all differences, |deviation| or its negative:
 * how far, in standard errors, all of them stay from the truth at once. Never below the quantile for one alone.
 */
function simultaneous(differences: readonly Difference[], level: number, sided: 'both' | 'below'): number {
  const alone = normalQuantile(sided === 'both' ? 0.5 + level / 2 : level);
  const draws = differences[0]?.sample.length ?? 0;
  const largest = new Float64Array(draws);
  for (const { sample } of differences) {
    const centre = meanOf(sample);
    const deviation = spread(sample, centre);
    if (!(deviation > 0)) {
      continue;
    }
    for (let d = 0; d < draws; d++) {
      const t = (sample[d]! - centre) / deviation;
      const size = sided === 'both' ? Math.abs(t) : -t;
      if (size > largest[d]!) {
        largest[d] = size;
      }
    }
  }
  return draws > 0 ? Math.max(alone, quantile(largest.sort(), level, 'weibull')) : alone;
}

/** How far from its estimate a difference's end lies, `reach` standard errors out; `end` is its own interval's at `one`. */
function reached({ interval, sample, rows }: Difference, end: number, reach: number, one: number): number {
  const own = Math.abs(end - interval.estimate) / one;
  const normal = spread(sample, meanOf(sample));
  return reach * Math.max(own, normal) * smallSample(rows) * studentRatio(reach, rows);
}

/** How far the bootstrap's draws of the extreme spread: what is reported as its standard error. */
function extremeError(differences: readonly Difference[], of: (values: number[]) => number): number {
  const draws = differences[0]?.sample.length ?? 0;
  const extremes = Float64Array.from({ length: draws }, (_, d) => of(differences.map(({ sample }) => sample[d]!)));
  return spread(extremes, meanOf(extremes));
}

/** The largest |difference|. NaN throughout where a difference is undefined or there is none. */
export function largestAbsolute(differences: readonly Difference[], level: number): Interval {
  const estimate = Math.max(...differences.map(({ interval }) => Math.abs(interval.estimate)));
  if (differences.length === 0 || !Number.isFinite(estimate)) {
    return UNDEFINED;
  }
  const reach = simultaneous(differences, level, 'both');
  const one = normalQuantile(0.5 + level / 2);
  let [low, high] = [0, 0];
  for (const difference of differences) {
    const { estimate: at, low: below, high: above } = difference.interval;
    low = Math.max(low, at - reached(difference, below, reach, one), -at - reached(difference, above, reach, one));
    high = Math.max(high, above, -below);
  }
  const error = extremeError(differences, (values) => Math.max(...values.map(Math.abs)));
  return { estimate, low: Math.min(low, estimate), high: Math.max(high, estimate), error };
}

/** The smallest difference. NaN throughout where one is undefined or there is none. */
export function smallest(differences: readonly Difference[], level: number): Interval {
  const estimate = Math.min(...differences.map(({ interval }) => interval.estimate));
  if (differences.length === 0 || !Number.isFinite(estimate)) {
    return UNDEFINED;
  }
  const [one, all] = [normalQuantile(0.5 + level / 2), simultaneous(differences, 0.5 + level / 2, 'below')];
  let [low, high] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (const difference of differences) {
    const { estimate: at, low: below, high: above } = difference.interval;
    low = Math.min(low, below);
    high = Math.min(high, at + reached(difference, above, all, one));
  }
  const error = extremeError(differences, (values) => Math.min(...values));
  return { estimate, low: Math.min(low, estimate), high: Math.max(high, estimate), error };
}

/**
 * A distance between two distribution functions: its estimate, the upper end that the place or the resampling of it gives,
 * the draws' distance of the resampled difference from the observed one, the scale of that (1 / sqrt of group sizes), and the
 * rows of the smaller group.
 */
export type Distance = {
  estimate: number;
  high: number;
  deviations: Float64Array;
  scale: number;
  error: number;
  rows: number;
};

/**
 * The largest of several distances. Lower ends come from the resampled process: by the triangle inequality a distance is
 * off by no more than the difference of distribution functions is from its estimate (Bickel and Freedman 1981), so that 0 is
 * held at equality with the stated confidence.
 */
export function largestDistance(distances: readonly Distance[], level: number): Interval {
  const estimate = Math.max(...distances.map((d) => d.estimate));
  if (distances.length === 0 || !Number.isFinite(estimate)) {
    return UNDEFINED;
  }
  const draws = distances[0]!.deviations.length;
  const largest = Float64Array.from({ length: draws }, (_, d) =>
    Math.max(...distances.map(({ deviations, scale }) => deviations[d]! / scale)),
  ).sort();
  const reach = draws > 0 ? quantile(largest, level, 'weibull') : Number.POSITIVE_INFINITY;
  const z = normalQuantile(1 - (1 - level) / (2 * distances.length));
  let [low, high, error] = [0, 0, 0];
  for (const distance of distances) {
    const stretch = smallSample(distance.rows) * studentRatio(z, distance.rows);
    low = Math.max(low, distance.estimate - reach * distance.scale * stretch);
    high = Math.max(high, distance.high);
    if (distance.estimate === estimate) {
      error = distance.error;
    }
  }
  return { estimate, low: Math.min(low, estimate), high: Math.max(high, estimate), error };
}
