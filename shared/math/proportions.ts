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

/**
 * Interval of the ratio a / b of two independent proportions, from the intervals of both (MOVER; Donner and Zou 2012): finite
 * below where b may be 0, unbounded above. The error is the delta method's; NaN throughout for b = 0.
 */
export function ratioInterval(a: Interval, b: Interval): Interval {
  const estimate = a.estimate / b.estimate;
  if (!Number.isFinite(estimate)) {
    return { estimate: Number.NaN, low: Number.NaN, high: Number.NaN, error: Number.NaN };
  }
  const product = a.estimate * b.estimate;
  // The smaller root of both quadratics; the larger, written so that nothing cancels.
  const side = (l: number, u: number): { numerator: number; denominator: number; root: number } => {
    const [numerator, denominator] = [l * (2 * a.estimate - l), u * (2 * b.estimate - u)];
    return { numerator, denominator, root: Math.sqrt(Math.max(0, product ** 2 - numerator * denominator)) };
  };
  const [below, above] = [side(a.low, b.high), side(a.high, b.low)];
  const low = a.low === 0 ? 0 : below.numerator / (product + below.root);
  const high = b.low === 0 ? Number.POSITIVE_INFINITY : (product + above.root) / above.denominator;
  const error = Math.hypot(a.error / b.estimate, (estimate * b.error) / b.estimate);
  return { estimate, low: Math.min(low, estimate), high: Math.max(high, estimate), error };
}
