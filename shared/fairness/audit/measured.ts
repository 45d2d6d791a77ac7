/** A number with its interval, as audits show it. */
import type { Interval } from '../../math/resample.ts';

/** Null where a number is not defined (such as an AUC without negatives). */
export type Measured = {
  metric: string;
  threshold?: number;
  estimate: number | null;
  low: number | null;
  high: number | null;
  standard_error: number | null;
  /** Why there is no estimate, where that is not plain from the metric. */
  reason?: string;
};

const finite = (x: number): number | null => (Number.isFinite(x) ? x : null);
export const measured = (metric: string, interval: Interval, threshold?: number, reason?: string): Measured => ({
  metric,
  ...(threshold === undefined ? {} : { threshold }),
  estimate: finite(interval.estimate),
  low: finite(interval.low),
  high: finite(interval.high),
  standard_error: finite(interval.error),
  ...(reason === undefined ? {} : { reason }),
});
