/** Quantiles of a sample. */

/**
 * Where the order statistics of n values lie, by Hyndman and Fan (1996): `linear` puts the i-th (from 0) at level
 * i / (n - 1), their type 7; `hazen` at (i + 1/2) / n, their type 5; `weibull` at (i + 1) / (n + 1), their type 6: what a
 * further draw lies below, so that few draws do not understate how far one may lie.
 */
type QuantileDefinition = 'linear' | 'hazen' | 'weibull';

const PLACE: Readonly<Record<QuantileDefinition, (level: number, n: number) => number>> = {
  linear: (level, n) => level * (n - 1),
  hazen: (level, n) => level * n - 0.5,
  weibull: (level, n) => level * (n + 1) - 1,
};

/** The quantile at `level` in [0, 1] of values in rising order, linear between order statistics and constant beyond. */
export function quantile(sorted: ArrayLike<number>, level: number, definition: QuantileDefinition = 'linear'): number {
  const last = sorted.length - 1;
  if (last < 0) {
    throw new RangeError('a quantile needs a value');
  }
  const at = Math.min(Math.max(PLACE[definition](level, sorted.length), 0), last);
  const below = Math.floor(at);
  return sorted[below]! + (at - below) * (sorted[Math.min(below + 1, last)]! - sorted[below]!);
}
