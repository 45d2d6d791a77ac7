/** Latent predictors as they are deployed: what a row reveals of K, not draws that knew the status. */

import { plainInputs } from '../../../shared/fairness/lookahead/compile.ts';
import type { LatentDocument } from '../../../shared/fairness/lookahead/document.ts';
import { compileLatent, type LatentPredictor, predictLatent } from '../../../shared/fairness/lookahead/latent.ts';
import { encodeTable, featureCount } from '../../../shared/fairness/predictors/encode.ts';
import { leastSquares } from '../../../shared/math/least-squares.ts';
import { numbersOf, takeRows } from '../table-input.ts';
import { type Baseline, meanSquare, measured, type PreparedRows } from './fitted.ts';

/** People as a deployed latent predictor sees them: children (and status), covariate features, attribute value numbers. */
type LatentRows = { rows: Float64Array; features: Float64Array; groupIds: ArrayLike<number>; y: Float64Array };

export const latentPredictorOf = (document: LatentDocument): LatentPredictor => ({
  ...document,
  values: document.attribute.labels.length,
  covariates: featureCount(document.covariates),
});

export function latentRows({ table, groupIds }: PreparedRows, rows: Uint32Array, document: LatentDocument): LatentRows {
  const own = takeRows(table, rows);
  return {
    rows: encodeTable(own, plainInputs(compileLatent(latentPredictorOf(document)).inputs)),
    features: encodeTable(own, document.covariates),
    groupIds: Int32Array.from(rows, (i) => groupIds[i]!),
    y: numbersOf(own, document.status.name),
  };
}

/** Scores of `people`, with other coefficients than the predictor's own where they are given. */
function latentScores(
  predictor: LatentPredictor,
  { rows, features, groupIds, y }: LatentRows,
  { p1, ...part }: { p1?: number; p2?: number; p3?: number; free?: number } = {},
): Float64Array {
  const compiled = compileLatent({ ...predictor, ...part });
  const scores = new Float64Array(y.length);
  predictLatent({ ...compiled, p1: p1 ?? compiled.p1 }, rows, features, groupIds, scores);
  return scores;
}

const NONE = { p1: 0, p2: 0, p3: 0, free: 0 };

/** The predictor with p2, p3 and h fitted by least squares to what it will see of people. */
export function fitDeployed(predictor: LatentPredictor, people: LatentRows): LatentPredictor {
  const own = latentScores(predictor, people, { p2: 0, p3: 0, free: 0 });
  const [linear, latent] = [
    latentScores(predictor, people, { ...NONE, p2: 1 }),
    latentScores(predictor, people, { ...NONE, free: 1 }),
  ];
  const n = people.y.length;
  const x = new Float64Array(2 * n);
  for (let i = 0; i < n; i++) {
    x[2 * i] = linear[i]!;
    x[2 * i + 1] = latent[i]!;
  }
  const target = people.y.map((y, i) => y - own[i]!);
  const { intercept, coefficients } = leastSquares(x, target, 2, { ridge: 1e-9 });
  return { ...predictor, p2: coefficients[0]!, p3: intercept, free: coefficients[1]! };
}

/** Error and gaps of a predictor on people. */
export function measureDeployed(predictor: LatentPredictor, people: LatentRows): ReturnType<typeof measured> {
  const compiled = compileLatent(predictor);
  return measured(people.y, (scores, gaps) =>
    predictLatent(compiled, people.rows, people.features, people.groupIds, scores, gaps),
  );
}

/** The status on the posterior mean of K alone: fair in the present, which leaves the future gap where it is. */
export function counterfactuallyFair(predictor: LatentPredictor, trained: LatentRows, held: LatentRows): Baseline {
  const k = (people: LatentRows): Float64Array => latentScores(predictor, people, { ...NONE, free: 1 });
  const { intercept, coefficients } = leastSquares(k(trained), trained.y, 1, { ridge: 1e-9 });
  const scores = k(held).map((value) => intercept + coefficients[0]! * value);
  const { present_gap } = measureDeployed({ ...predictor, rho: 0, p2: 0 }, held);
  return { method: 'counterfactually_fair', mse: meanSquare(scores, held.y), present_gap, future_gap: present_gap };
}
