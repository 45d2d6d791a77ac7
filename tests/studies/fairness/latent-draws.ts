/**
 * Lookahead-fair prediction on the latent-knowledge model: K is what people can move, the status is linear in K, the
 * attribute and covariates, and a score is published per posterior draw of K.
 */

import type { LatentFit } from '../../../gpu-worker/fairness/lookahead/latent-knowledge.ts';
import { additiveConstant, quadraticCoefficient } from '../../../shared/fairness/lookahead/constants.ts';
import { leastSquares } from '../../../shared/math/least-squares.ts';

export type LatentWorld = {
  fit: LatentFit;
  /** Draws of K per person used for averages; at most those that were kept. */
  draws: number;
  /** Attribute value numbers and status of every person. */
  groupIds: ArrayLike<number>;
  y: Float64Array;
  /** Status's mean at K = 0 for person i under attribute value number b. */
  offset(i: number, b: number): number;
  values: number;
  /** Weight of K in the status. */
  weight: number;
};
type LatentScore = {
  method: string;
  mse: number;
  presentGap: number;
  futureGap: number;
  /** Mean |difference of the score| between a draw's world and the others. */
  scoreGap: number;
  constant: number;
  p1: number;
};

/** Mean |difference of the status| between a person's world and the others. */
function presentGap({ groupIds, values, offset }: LatentWorld, rows: ArrayLike<number>): number {
  let [sum, pairs] = [0, 0];
  for (let r = 0; r < rows.length; r++) {
    const i = rows[r]!;
    for (let b = 0; b < values; b++) {
      if (b === groupIds[i]) {
        continue;
      }
      sum += Math.abs(offset(i, groupIds[i]!) - offset(i, b));
      pairs += 1;
    }
  }
  return sum / pairs;
}

/**
 * Y^ = p1 sum_b Yc_b^2 + p2 sum_b Yc_b + p3 + h K with p1 from eta and rho, fitted on draws of training people, measured on
 * draws of test people. rho = 0 without the term in Yc is the counterfactually fair predictor (`counterfactual: true`).
 */
export function latentScore(
  world: LatentWorld,
  train: ArrayLike<number>,
  test: ArrayLike<number>,
  { eta, rho, counterfactual = false }: { eta: number; rho: number; counterfactual?: boolean },
): LatentScore {
  const { fit, draws, groupIds, y, offset, values, weight } = world;
  const constant = additiveConstant([weight], eta);
  const p1 = counterfactual ? 0 : quadraticCoefficient(constant, rho);
  const d = counterfactual ? 1 : 2;
  const rowsOf = (people: ArrayLike<number>) => {
    const n = people.length * draws;
    const [x, target, square] = [new Float64Array(n * d), new Float64Array(n), new Float64Array(n)];
    for (let r = 0; r < people.length; r++) {
      const i = people[r]!;
      for (let s = 0; s < draws; s++) {
        const at = r * draws + s;
        const k = fit.draws![i * fit.samples + Math.floor((s * fit.samples) / draws)]!;
        let [linear, quadratic] = [0, 0];
        for (let b = 0; b < values; b++) {
          if (b === groupIds[i]) {
            continue;
          }
          const other = offset(i, b) + weight * k;
          linear += other;
          quadratic += other * other;
        }
        x[at * d] = k;
        if (d === 2) {
          x[at * d + 1] = linear;
        }
        square[at] = p1 * quadratic;
        target[at] = y[i]! - square[at]!;
      }
    }
    return { x, target };
  };
  const fitted = rowsOf(train);
  const { intercept, coefficients } = leastSquares(fitted.x, fitted.target, d, { ridge: 1e-9 });
  const held = rowsOf(test);
  let mse = 0;
  for (let r = 0; r < held.target.length; r++) {
    let score = intercept;
    for (let j = 0; j < d; j++) {
      score += coefficients[j]! * held.x[r * d + j]!;
    }
    mse += (held.target[r]! - score) ** 2 / held.target.length;
  }
  const p2 = counterfactual ? 0 : coefficients[1]!; // the columns are K, then the sum of the other worlds
  let [scoreGap, pairs] = [0, 0];
  for (let r = 0; r < held.target.length; r++) {
    const i = test[Math.floor(r / draws)]!;
    const y = offset(i, groupIds[i]!) + weight * held.x[r * d]!;
    for (let b = 0; b < values; b++) {
      if (b === groupIds[i]) {
        continue;
      }
      const other = offset(i, b) + weight * held.x[r * d]!;
      scoreGap += Math.abs(p1 * (y * y - other * other) + p2 * (y - other));
      pairs += 1;
    }
  }
  const present = presentGap(world, test);
  const factor = Math.abs(1 - (2 * p1) / constant);
  return {
    method: counterfactual ? 'counterfactual' : 'lookahead',
    mse,
    presentGap: present,
    futureGap: factor * present,
    scoreGap: scoreGap / pairs,
    constant,
    p1,
  };
}
