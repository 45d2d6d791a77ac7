/**
 * Lookahead-fair prediction on the latent-knowledge model: K is what people can move, the status is linear in K, the
 * attribute and covariates, and a score is published per posterior draw of K.
 */
import { additiveConstant, quadraticCoefficient } from '../../shared/fairness/lookahead/constants.ts';
import { compileLatent, type LatentPredictor, predictLatent } from '../../shared/fairness/lookahead/latent.ts';
import { leastSquares } from '../../shared/math/least-squares.ts';
import type { LatentFit } from './latent-knowledge.ts';

export type LatentWorld = {
  fit: LatentFit;
  /** Draws of K per person used for averages; at most those that were kept. */
  draws: number;
  /** Attribute value numbers and status of every person. */
  codes: ArrayLike<number>;
  y: Float64Array;
  /** Status's mean at K = 0 for person i under attribute value number b. */
  offset(i: number, b: number): number;
  values: number;
  /** Weight of K in the status. */
  weight: number;
};
export type LatentScore = {
  method: string;
  mse: number;
  presentGap: number;
  futureGap: number;
  constant: number;
  p1: number;
};

/** Mean |difference of the status| between a person's world and the others. */
export function presentGap({ codes, values, offset }: LatentWorld, rows: ArrayLike<number>): number {
  let [sum, pairs] = [0, 0];
  for (let r = 0; r < rows.length; r++) {
    const i = rows[r]!;
    for (let b = 0; b < values; b++) {
      if (b === codes[i]) continue;
      sum += Math.abs(offset(i, codes[i]!) - offset(i, b));
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
  const { fit, draws, codes, y, offset, values, weight } = world;
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
          if (b === codes[i]) continue;
          const other = offset(i, b) + weight * k;
          linear += other;
          quadratic += other * other;
        }
        x[at * d] = k;
        if (d === 2) x[at * d + 1] = linear;
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
    for (let j = 0; j < d; j++) score += coefficients[j]! * held.x[r * d + j]!;
    mse += (held.target[r]! - score) ** 2 / held.target.length;
  }
  const present = presentGap(world, test);
  const factor = Math.abs(1 - (2 * p1) / constant);
  return {
    method: counterfactual ? 'counterfactual' : 'lookahead',
    mse,
    presentGap: present,
    futureGap: factor * present,
    constant,
    p1,
  };
}

/** People as a deployed latent predictor sees them: children (and status), covariate features, attribute value numbers. */
export type LatentRows = { rows: Float64Array; features: Float64Array; codes: ArrayLike<number>; y: Float64Array };

/** Scores of `people`, with other coefficients than the predictor's own where they are given. */
export function latentScores(
  predictor: LatentPredictor,
  { rows, features, codes, y }: LatentRows,
  { p1, ...part }: { p1?: number; p2?: number; p3?: number; free?: number } = {},
): Float64Array {
  const compiled = compileLatent({ ...predictor, ...part });
  const scores = new Float64Array(y.length);
  predictLatent({ ...compiled, p1: p1 ?? compiled.p1 }, rows, features, codes, scores);
  return scores;
}

/** The predictor with p2, p3 and h fitted by least squares to what it will see of people, not to draws that knew the status. */
export function fitDeployed(predictor: LatentPredictor, people: LatentRows): LatentPredictor {
  const none = { p1: 0, p2: 0, p3: 0, free: 0 };
  const own = latentScores(predictor, people, { p2: 0, p3: 0, free: 0 });
  const [linear, latent] = [
    latentScores(predictor, people, { ...none, p2: 1 }),
    latentScores(predictor, people, { ...none, free: 1 }),
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
