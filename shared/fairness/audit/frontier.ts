/** The points of a sweep that no other point beats in both accuracy and fairness. */

/** Positions of the points not dominated in (error, unfairness), both to be small, in order of rising error. */
export function frontier(points: readonly { error: number; unfairness: number }[]): number[] {
  const order = points
    .map((_, i) => i)
    .filter((i) => Number.isFinite(points[i]!.error) && Number.isFinite(points[i]!.unfairness))
    .sort((i, j) => points[i]!.error - points[j]!.error || points[i]!.unfairness - points[j]!.unfairness);
  let best = Number.POSITIVE_INFINITY;
  return order.filter((i) => {
    if (points[i]!.unfairness >= best) {
      return false;
    }
    best = points[i]!.unfairness;
    return true;
  });
}
