/** The guard of a gated predictor: a head that held-out rows do not prefer is replaced by the pooled one. */
import { decisionError } from '../decision.ts';
import { type GatedPredictor, scoreEveryHead } from './predictor.ts';
import { mcnemar } from './preferences.ts';

export type GuardDecision = {
  group: number;
  count: number;
  /** Errors of the group's own head and of the pooled one. */
  own: number;
  pooled: number;
  /** Smallest McNemar p over the pooled and the other heads; small means the own head is worse. */
  worstP: number;
  action: 'kept' | 'pooled' | 'merged';
  /** The head that now serves the group, -1 for the pooled one. */
  serving: number;
};

/** Head j wins against h on group k's rows when it errs less; b and c count the rows on which only one of them errs. */
function discordant(own: Uint8Array, other: Uint8Array, rows: number[]): [number, number] {
  let [b, c] = [0, 0];
  for (const i of rows) {
    if (own[i]! > other[i]!) {
      b++;
    } else if (own[i]! < other[i]!) {
      c++;
    }
  }
  return [b, c];
}

/**
 * Guards `predictor` in the metric that is promised, the error at 1/2, on rows not used to fit it or to choose K: the head
 * of a group falls back where an exact one-sided McNemar test at `level` finds it worse than the pooled head or another
 * group's, or where its point gap is below -`tolerance`. A group below `minimum` rows falls back too. With `merge`, a group
 * that another head serves significantly better gets that head, otherwise the pooled one. A merged or pooled group is
 * tested no further.
 */
export function guard(
  predictor: GatedPredictor,
  rows: Float64Array,
  labels: ArrayLike<number>,
  routed: ArrayLike<number>,
  { level = 0.05, tolerance = 0, minimum = 20, merge = false } = {},
): { predictor: GatedPredictor; decisions: GuardDecision[] } {
  const errors = scoreEveryHead(predictor, rows).map((scores) =>
    Uint8Array.from(scores, (score, i) => decisionError(score, labels[i]!)),
  );
  const serving = predictor.serving.slice();
  const decisions: GuardDecision[] = [];
  for (let k = 0; k < predictor.groups; k++) {
    const members: number[] = [];
    for (let i = 0; i < routed.length; i++) {
      if (routed[i] === k) {
        members.push(i);
      }
    }
    const rate = (j: number): number => members.reduce((sum, i) => sum + errors[j]![i]!, 0) / members.length;
    const [own, pooled] = [rate(k), rate(predictor.groups)];
    let worstP = 1;
    let action: GuardDecision['action'] = 'kept';
    let [best, bestRate] = [-1, pooled];
    if (serving[k] === k) {
      for (let j = 0; j <= predictor.groups; j++) {
        if (j === k) {
          continue;
        }
        const p = mcnemar(...discordant(errors[k]!, errors[j]!, members));
        worstP = Math.min(worstP, p);
        if (p > level && own - rate(j) <= tolerance) {
          continue;
        }
        action = 'pooled';
        if (merge && j < predictor.groups && serving[j] === j && rate(j) < bestRate) {
          [best, bestRate] = [j, rate(j)];
        }
      }
      if (members.length < minimum) {
        action = 'pooled';
      }
      if (action === 'pooled') {
        serving[k] = members.length < minimum ? -1 : best;
        if (serving[k]! >= 0) {
          action = 'merged';
        }
      }
    }
    decisions.push({ group: k, count: members.length, own, pooled, worstP, action, serving: serving[k]! });
  }
  return { predictor: { ...predictor, serving }, decisions };
}
