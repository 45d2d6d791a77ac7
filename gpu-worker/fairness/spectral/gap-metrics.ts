/** Error and distribution gaps of scores, without intervals: what sweeps and studies compare. */
import { layOut } from '../../../shared/fairness/audit/layout.ts';
import { auditStatistics } from '../../../shared/fairness/audit/statistics.ts';

export type GapMetrics = { mse: number; mae: number; ks: number; w1: number; meanGap: number; varianceGap: number };

/** Largest gaps over pairs of groups; gaps are NaN where a group has no rows, or none to tell a variance of. */
export function gapMetrics(
  scores: ArrayLike<number>,
  y: ArrayLike<number>,
  groupIds: ArrayLike<number>,
  groups: number,
): GapMetrics {
  const n = scores.length;
  const counts = new Array<number>(groups).fill(0);
  for (let i = 0; i < n; i++) {
    counts[groupIds[i]!]! += 1;
  }
  const rows = Uint32Array.from({ length: n }, (_, i) => i).sort((i, j) => groupIds[i]! - groupIds[j]! || i - j);
  const layout = layOut({ predictions: scores }, rows, counts, []);
  const { keys, evaluate } = auditStatistics(layout, 'regression');
  const out = new Float64Array(keys.length);
  evaluate(new Uint16Array(n).fill(1), out);
  const overall = (metric: string): number =>
    out[keys.findIndex((key) => key.scope === 'all' && key.metric === metric)]!;
  let [square, absolute] = [0, 0];
  for (let i = 0; i < n; i++) {
    const error = scores[i]! - y[i]!;
    square += (error * error) / n;
    absolute += Math.abs(error) / n;
  }
  if (counts.includes(0)) {
    const none = Number.NaN;
    return { mse: square, mae: absolute, ks: none, w1: none, meanGap: none, varianceGap: none };
  }
  return {
    mse: square,
    mae: absolute,
    ks: overall('ks'),
    w1: overall('w1'),
    meanGap: overall('mean_gap'),
    varianceGap: overall('variance_gap'),
  };
}
