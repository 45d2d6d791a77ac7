/** Ratios of rates between groups, and the four-fifths rule (29 CFR 1607.4 D) on selection rates. */
import { ratioInterval } from '../../math/proportions.ts';
import type { Interval } from '../../math/resample.ts';

/** A share of one group, with its interval at the stated level and at the one that holds for all pairs at once. */
export type GroupShare = { level: string; interval: Interval; simultaneous: Interval };

/** A ratio of two groups' rates, lower over higher or of a group over the reference. */
export type RatioFound = { of: string; over: string; interval: Interval };

/** Selection below four fifths of the best group's is taken as evidence of adverse impact. */
const FOUR_FIFTHS = 0.8;

/** Whether the ratio is at least four fifths, and whether its interval leaves no doubt. */
export const fourFifths = ({ estimate, low, high }: Interval): { holds: boolean; certain: boolean } => ({
  holds: estimate >= FOUR_FIFTHS,
  certain: low >= FOUR_FIFTHS || high < FOUR_FIFTHS,
});

/**
 * The smallest ratio of two groups' rates: least over largest, or of all groups with the `reference` (a position), where a
 * ratio above 1 counts by its inverse. Its lower end is the least of the pairs' lower ends, its upper end the least of upper
 * ends that hold for all pairs at once, by Bonferroni, so that the luckiest pair is not taken for the worst. Undefined
 * (null) where no pair has a ratio: nobody has the outcome in either group.
 */
export function smallestRatio(shares: readonly GroupShare[], reference?: number): RatioFound | null {
  let found: RatioFound | null = null;
  let [low, high] = [1, 1];
  for (const [a, first] of shares.entries()) {
    for (const [b, second] of shares.entries()) {
      const compared = a !== b && (reference === undefined ? true : a === reference || b === reference);
      if (!compared || !(first.interval.estimate <= second.interval.estimate) || second.interval.estimate === 0) {
        continue;
      }
      const one = ratioInterval(first.interval, second.interval);
      const all = ratioInterval(first.simultaneous, second.simultaneous);
      low = Math.min(low, one.low);
      high = Math.min(high, all.high);
      if (found === null || one.estimate < found.interval.estimate) {
        found = { of: first.level, over: second.level, interval: one };
      }
    }
  }
  if (found === null) {
    return null;
  }
  const { estimate, error } = found.interval;
  return { ...found, interval: { estimate, error, low: Math.min(low, estimate), high: Math.max(high, estimate) } };
}
