/** The frontier of a comparison: points averaged over seeds, and methods compared at one share of zero tiles. */

import { SextantError } from '../../../shared/contracts/problem.ts';
import type { Tile } from '../tiles/tiles.ts';
import type { MethodName, Point } from './points.ts';

export type Measured = {
  point: Point;
  /** Accuracy of classes, or minus the loss: more is better. */
  score: number;
  zeroShare: number;
};
type Spread = { mean: number; minimum: number; maximum: number; deviation: number | null; n: number };

/** Mean, range and, from two values on, the standard deviation of a sample. */
export function spread(values: readonly number[]): Spread {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {
    mean,
    minimum: Math.min(...values),
    maximum: Math.max(...values),
    deviation: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : null,
    n: values.length,
  };
}

/** Points that differ in nothing but the seed have one key. */
export const settingKey = ({ method, tile, lambda, sparsity }: Point): string =>
  JSON.stringify([method, tile, lambda, sparsity]);

/** The values under each key, in the order of first appearance. */
export function groupedBy<T>(items: readonly T[], key: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  }
  return [...groups.values()];
}

/**
 * The score at a share of zero tiles, on the straight line between the two points of a frontier next to it; null outside
 * what was measured, since nothing is known there.
 * @param points mean scores of one method and tile
 */
function scoreAt(points: readonly { zeroShare: number; score: number }[], share: number): number | null {
  const sorted = [...points].sort((a, b) => a.zeroShare - b.zeroShare);
  const exact = sorted.filter(({ zeroShare }) => zeroShare === share);
  if (exact.length > 0) {
    return Math.max(...exact.map(({ score }) => score));
  }
  const above = sorted.findIndex(({ zeroShare }) => zeroShare > share);
  const [low, high] = [sorted[above - 1], sorted[above]];
  if (!low || !high) {
    return null;
  }
  return low.score + ((high.score - low.score) * (share - low.zeroShare)) / (high.zeroShare - low.zeroShare);
}

type AtEqualSparsity = { method: MethodName; tile: Tile; share: number; score: number };

/** Every method with every tile at these shares of zero tiles, as far as its frontier reaches. */
export function atEqualSparsity(all: readonly Measured[], shares: readonly number[]): AtEqualSparsity[] {
  const means = groupedBy(all, ({ point }) => settingKey(point)).map((group) => ({
    point: group[0]!.point,
    score: spread(group.map(({ score }) => score)).mean,
    zeroShare: spread(group.map(({ zeroShare }) => zeroShare)).mean,
  }));
  // An unpenalised sum is where the frontier of the penalised ones begins.
  const family = ({ method }: Point) => (method === 'kpd_unpenalised' ? 'kpd' : method);
  return groupedBy(
    means.filter(({ point }) => point.method !== 'dense'),
    ({ point }) => JSON.stringify([family(point), point.tile]),
  ).flatMap((points) =>
    shares.flatMap((share) => {
      const score = scoreAt(points, share);
      const { point } = points[0]!;
      return score === null ? [] : [{ method: family(point), tile: point.tile, share, score }];
    }),
  );
}

/**
 * The chosen point: among all settings whose mean validation score is within `tolerance` of the best one's, that with most
 * zero tiles, and of its seeds the one with the best score. Settings that diverged are passed over.
 * @throws SextantError `not_finite` where all of them did
 */
export function chosenPoint<T extends Measured>(all: readonly T[], tolerance: number): T {
  const mean = (group: readonly T[], of: (item: T) => number) => spread(group.map(of)).mean;
  const groups = groupedBy(all, ({ point }) => settingKey(point)).filter((group) =>
    Number.isFinite(mean(group, ({ score }) => score)),
  );
  if (groups.length === 0) {
    throw new SextantError('not_finite', 'no training ends with a validation score that is a number');
  }
  const best = Math.max(...groups.map((group) => mean(group, ({ score }) => score)));
  const good = groups.filter((group) => mean(group, ({ score }) => score) >= best - tolerance);
  const [sparsest] = good.sort((a, b) => mean(b, ({ zeroShare }) => zeroShare) - mean(a, ({ zeroShare }) => zeroShare));
  return sparsest!.reduce((top, item) => (item.score > top.score ? item : top));
}
