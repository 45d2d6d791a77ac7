/** Accuracy, AUC and what demographic groups get, without intervals: what methods are compared by. */
import { decisionError } from '../../../shared/fairness/decision.ts';

/** Share of rows whose score is on the label's side of 1/2. */
export function accuracy(scores: ArrayLike<number>, y: ArrayLike<number>): number {
  let right = 0;
  for (let i = 0; i < scores.length; i++) {
    right += 1 - decisionError(scores[i]!, y[i]!);
  }
  return right / scores.length;
}

/** Probability that a positive row scores above a negative one, ties half; NaN without both labels. */
export function areaUnderCurve(scores: ArrayLike<number>, y: ArrayLike<number>): number {
  const order = Uint32Array.from({ length: scores.length }, (_, i) => i).sort((i, j) => scores[i]! - scores[j]!);
  let [negatives, positives, ranked] = [0, 0, 0];
  for (let i = 0; i < order.length; ) {
    let [tiedNegative, tiedPositive] = [0, 0];
    const value = scores[order[i]!]!;
    for (; i < order.length && scores[order[i]!] === value; i++) {
      if (y[order[i]!] === 1) {
        tiedPositive += 1;
      } else {
        tiedNegative += 1;
      }
    }
    ranked += tiedPositive * (negatives + tiedNegative / 2);
    negatives += tiedNegative;
    positives += tiedPositive;
  }
  return ranked / (positives * negatives);
}

/**
 * Over demographic groups of at least `minimum` rows: least gain over the pooled scores, least accuracy, and the range of
 * accuracies; null without two such groups.
 */
export function demographicSummary(
  scores: ArrayLike<number>,
  pooled: ArrayLike<number>,
  y: ArrayLike<number>,
  groupIds: ArrayLike<number>,
  groups: number,
  minimum = 30,
): { worstGap: number; worstAccuracy: number; disparity: number } | null {
  const counts = new Float64Array(groups);
  const [own, base] = [new Float64Array(groups), new Float64Array(groups)];
  for (let i = 0; i < groupIds.length; i++) {
    const g = groupIds[i]!;
    counts[g]! += 1;
    own[g]! += 1 - decisionError(scores[i]!, y[i]!);
    base[g]! += 1 - decisionError(pooled[i]!, y[i]!);
  }
  const kept = Array.from(counts.keys()).filter((g) => counts[g]! >= minimum);
  if (kept.length < 2) {
    return null;
  }
  const accuracies = kept.map((g) => own[g]! / counts[g]!);
  return {
    worstGap: Math.min(...kept.map((g) => (own[g]! - base[g]!) / counts[g]!)),
    worstAccuracy: Math.min(...accuracies),
    disparity: Math.max(...accuracies) - Math.min(...accuracies),
  };
}
