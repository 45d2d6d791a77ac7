/** Gated predictors learned without demographics against baselines with and without them. */
import { accuracy, demographicSummary } from '../../../gpu-worker/fairness/gated/classification-metrics.ts';
import { route, trainGated } from '../../../gpu-worker/fairness/gated/gated-training.ts';
import * as baselines from '../../../gpu-worker/fairness/gated/linear-baselines.ts';
import { pick, pickRows, type Rows, splitRows, strataOf } from '../../../gpu-worker/fairness/rows.ts';
import { grouping } from '../../../shared/fairness/audit/groups.ts';
import { decisionError } from '../../../shared/fairness/decision.ts';
import { guard } from '../../../shared/fairness/gated/guard.ts';
import {
  asServed,
  type GatedPredictor,
  predictGated,
  scoreEveryHead,
} from '../../../shared/fairness/gated/predictor.ts';
import { preferenceGaps, riskMatrix, withoutHarm } from '../../../shared/fairness/gated/preferences.ts';
import { logisticRegression } from '../../../shared/math/logistic.ts';
import { stream } from '../../../shared/math/random.ts';
import { type Row, summarise } from './spread.ts';
import type { Labelled } from './tables.ts';

const scoresOf = (p: GatedPredictor, rows: Rows): Float64Array => {
  const scores = new Float64Array(rows.y.length);
  predictGated(p, rows.x, scores, new Uint8Array(rows.y.length));
  return scores;
};
/** Worst rationality or envy gap of the learned groups on these rows, in error rates. */
function worstLearnedGap(p: GatedPredictor, rows: Rows): number {
  const errors = scoreEveryHead(p, rows.x).map((scores) => scores.map((s, i) => decisionError(s, rows.y[i]!)));
  return withoutHarm(preferenceGaps(riskMatrix(errors, route(p.gate, p.groups, rows)))).worst;
}

/** Uniform on the square, y = [x1 x2 > 0]; the demographic is [x1 > 0] flipped with probability rho. */
export function xorSquare(n: number, seed: number, rho: number): Labelled {
  const x = stream(seed, 'xor').uniform(2 * n, { low: -1 });
  const flips = stream(seed, 'flips').uniform(n);
  const y = Float64Array.from({ length: n }, (_, i) => Number(x[2 * i]! * x[2 * i + 1]! > 0));
  return {
    rows: { x, y, d: 2 },
    demographic: grouping(
      'side',
      Array.from(flips, (u, i) => Number(x[2 * i]! > 0) ^ Number(u < rho)),
    ),
  };
}

export type GatedSettings = { groups: readonly number[]; steps: number; restarts: number; robust?: boolean };

function seedRun(
  { rows, demographic }: Labelled,
  seed: number,
  { groups, steps, restarts, robust = true }: GatedSettings,
): Map<string, Record<string, number>> {
  const parts = splitRows(strataOf(demographic.groupIds, rows.y), [0.5, 0.1, 0.1, 0.3], seed);
  const [train, validation, held, test] = parts.map((part) => pickRows(rows, part)) as [Rows, Rows, Rows, Rows];
  const idsOf = (part: Uint32Array) => Int32Array.from(pick(demographic.groupIds, part));
  const [trainIds, testIds] = [idsOf(parts[0]!), idsOf(parts[3]!)];
  const pooled = baselines.linearScores(logisticRegression(train.x, train.y, train.d), test);
  const out = new Map<string, Record<string, number>>();
  const add = (method: string, scores: Float64Array, worst = Number.NaN): void => {
    const summary = demographicSummary(scores, pooled, test.y, testIds, demographic.levels.length)!;
    out.set(method, {
      accuracy: accuracy(scores, test.y),
      'worst learned-group gap': worst,
      'worst demographic gap vs pooled': summary.worstGap,
      'worst-group accuracy': summary.worstAccuracy,
      disparity: summary.disparity,
    });
  };
  add('pooled', pooled);
  const count = demographic.levels.length;
  add(
    'decoupled by demographic (uses it)',
    baselines.decoupledScores(baselines.decoupled(train, trainIds, count), test, testIds),
  );
  for (const k of groups) {
    const { predictor } = trainGated(train, validation, { groups: k, steps, restarts, seed });
    add(`gated, K = ${k}`, scoresOf(predictor, test), worstLearnedGap(predictor, test));
    const safe = guard(predictor, held.x, held.y, route(predictor.gate, k, held)).predictor;
    add(`gated, K = ${k}, guarded`, scoresOf(safe, test), worstLearnedGap(asServed(safe), test));
  }
  const experts = trainGated(train, validation, { groups: groups[0]!, steps, restarts, seed, objective: 'mixture' });
  add(
    `mixture of experts, K = ${groups[0]}`,
    scoresOf(experts.predictor, test),
    worstLearnedGap(experts.predictor, test),
  );
  if (robust) {
    add('ARL (linear)', baselines.linearScores(baselines.adversariallyReweighted(train, { seed }), test));
    add('DRO (linear)', baselines.linearScores(baselines.distributionallyRobust(train, 0.5, { seed }), test));
  }
  return out;
}

/** Test means over `seeds` splits; `save` is given what there is after every seed. */
export function gatedStudy(
  make: (seed: number) => Labelled,
  seeds: number,
  settings: GatedSettings,
  save: (rows: Row[], done: number) => void,
): Row[] {
  const runs: Map<string, Record<string, number>>[] = [];
  for (let seed = 1; seed <= seeds; seed++) {
    runs.push(seedRun(make(seed), seed, settings));
    save(summarise(runs), seed);
  }
  return summarise(runs);
}
