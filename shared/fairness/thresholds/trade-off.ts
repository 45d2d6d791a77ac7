/** What thresholds on a score can reach within one group: points of two metrics, their upper hull, and points between. */

/** Counts of a decision rule on a group; fractions of people where it is randomised. */
type Counts = { truePositives: number; falsePositives: number; positives: number; negatives: number };

export type RateName =
  | 'selection_rate'
  | 'true_positive_rate'
  | 'false_positive_rate'
  | 'accuracy'
  | 'balanced_accuracy';

const RATES: Readonly<Record<RateName, (c: Counts) => number>> = {
  selection_rate: (c) => (c.truePositives + c.falsePositives) / (c.positives + c.negatives),
  true_positive_rate: (c) => c.truePositives / c.positives,
  false_positive_rate: (c) => c.falsePositives / c.negatives,
  accuracy: (c) => (c.truePositives + c.negatives - c.falsePositives) / (c.positives + c.negatives),
  balanced_accuracy: (c) =>
    (0.5 * c.truePositives) / c.positives + (0.5 * (c.negatives - c.falsePositives)) / c.negatives,
};
export const rateOf = (name: RateName, counts: Counts): number => RATES[name](counts);

/** A threshold that scores have to be above; infinite ones accept nobody or everybody. */
export type TradeOffPoint = { x: number; y: number; threshold: number };

/** Every threshold of a group's scores, in order of rising x and, at one x, of rising y. Thresholds lie halfway between scores. */
export function tradeOffPoints(
  scores: ArrayLike<number>,
  labels: ArrayLike<number>,
  x: RateName,
  y: RateName,
): TradeOffPoint[] {
  const n = scores.length;
  const order = Uint32Array.from({ length: n }, (_, i) => i).sort((i, j) => scores[j]! - scores[i]!);
  const positives = order.reduce((sum, i) => sum + labels[i]!, 0);
  const counts = { truePositives: 0, falsePositives: 0, positives, negatives: n - positives };
  const points: TradeOffPoint[] = [];
  const add = (threshold: number): void => {
    points.push({ x: rateOf(x, counts), y: rateOf(y, counts), threshold });
  };
  add(Number.POSITIVE_INFINITY);
  for (let k = 0; k < n; ) {
    const score = scores[order[k]!]!;
    for (; k < n && scores[order[k]!] === score; k++) {
      counts.truePositives += labels[order[k]!]!;
      counts.falsePositives += 1 - labels[order[k]!]!;
    }
    add(k < n ? (score + scores[order[k]!]!) / 2 : Number.NEGATIVE_INFINITY);
  }
  return points.sort((a, b) => a.x - b.x || a.y - b.y);
}

/** The upper convex hull of points in order (monotone chain; Andrew 1979): what mixing two thresholds at random reaches. */
export function upperHull(points: readonly TradeOffPoint[]): TradeOffPoint[] {
  const hull: TradeOffPoint[] = [];
  for (const point of points) {
    for (;;) {
      const [first, second] = [hull.at(-2), hull.at(-1)];
      if (
        !first ||
        !second ||
        (second.y - first.y) * (point.x - first.x) > (point.y - first.y) * (second.x - first.x)
      ) {
        break;
      }
      hull.pop();
    }
    hull.push(point);
  }
  return hull;
}

/** A point on a hull: the thresholds on both sides of it, each with its probability. */
export type Mixture = { y: number; mix: [{ share: number; threshold: number }, { share: number; threshold: number }] };

/** The hull at `x`, which lies within it. */
export function mixtureAt(hull: readonly TradeOffPoint[], x: number): Mixture {
  // The last segment that starts below x; at the start, the last of the points above each other there.
  let k = hull.findLastIndex((point, i) => i + 1 < hull.length && point.x < x);
  if (k < 0) {
    k = hull.findLastIndex((point, i) => i + 1 < hull.length && point.x <= x);
  }
  const [left, right] = [hull[k]!, hull[k + 1]!];
  const share = (right.x - x) / (right.x - left.x);
  return {
    y: share * left.y + (1 - share) * right.y,
    mix: [
      { share, threshold: left.threshold },
      { share: 1 - share, threshold: right.threshold },
    ],
  };
}
