/**
 * Linear classifiers that gated predictors are compared with: decoupled by known groups, adversarially reweighted (ARL,
 * Lahoti et al. 2020) and distributionally robust (DRO, Hashimoto et al. 2018).
 */
import { stream } from '../../../shared/math/random.ts';
import { sigmoid, softplus } from '../../../shared/math/special.ts';
import { convergedLogistic } from '../../study/index.ts';
import { AdamState } from '../adam-state.ts';
import { requireFinite } from '../finite.ts';
import type { Rows } from '../rows.ts';

/** Probabilities of a linear classifier (d + 1 weights, intercept last). */
export function linearScores(weights: Float64Array, { x, d }: Rows): Float64Array {
  const out = new Float64Array(x.length / d);
  for (let i = 0; i < out.length; i++) {
    let a = weights[d]!;
    for (let j = 0; j < d; j++) {
      a += weights[j]! * x[i * d + j]!;
    }
    out[i] = sigmoid(a);
  }
  return out;
}

/** One classifier per known group, the pooled one for groups below `minimum` rows. */
export function decoupled(
  train: Rows,
  groupIds: ArrayLike<number>,
  groups: number,
  l2 = 1e-4,
  minimum = 25,
): Float64Array[] {
  const pooled = convergedLogistic(train, { l2 });
  return Array.from({ length: groups }, (_, g) => {
    const rows: number[] = [];
    for (let i = 0; i < groupIds.length; i++) {
      if (groupIds[i] === g) {
        rows.push(i);
      }
    }
    return rows.length < minimum ? pooled : convergedLogistic(train, { l2, rows });
  });
}
export function decoupledScores(
  models: readonly Float64Array[],
  rows: Rows,
  groupIds: ArrayLike<number>,
): Float64Array {
  const each = models.map((weights) => linearScores(weights, rows));
  return Float64Array.from({ length: rows.y.length }, (_, i) => each[groupIds[i]!]![i]!);
}

type Descent = { steps?: number; batch?: number; rate?: number; seed?: number };

/**
 * Minibatch Adam on a weighted logistic loss; `weigh(losses, rows of the batch)` gives each row's weight. Raises
 * `not_converged` where it left the numbers.
 */
function weightedDescent(
  train: Rows,
  { steps = 1500, batch = 512, rate = 0.02, seed = 0 }: Descent,
  start: Float64Array,
  weigh: (losses: Float64Array, rows: Uint32Array) => Float64Array,
): Float64Array {
  const { x, y, d } = train;
  const n = y.length;
  const size = Math.min(batch, n);
  const weights = start.slice();
  const adam = new AdamState(d + 1);
  const gradient = new Float64Array(d + 1);
  const losses = new Float64Array(size);
  const errors = new Float64Array(size);
  const random = stream(seed, 'weighted-descent');
  for (let step = 0; step < steps; step++) {
    const rows = random.integers(size, n, { start: step * size });
    rows.forEach((i, b) => {
      let a = weights[d]!;
      for (let j = 0; j < d; j++) {
        a += weights[j]! * x[i * d + j]!;
      }
      losses[b] = softplus(a) - y[i]! * a;
      errors[b] = sigmoid(a) - y[i]!;
    });
    const each = weigh(losses, rows);
    gradient.fill(0);
    rows.forEach((i, b) => {
      const g = (each[b]! * errors[b]!) / size;
      for (let j = 0; j < d; j++) {
        gradient[j]! += g * x[i * d + j]!;
      }
      gradient[d]! += g;
    });
    // A rate that falls to a tenth settles what minibatches leave.
    adam.step(weights, gradient, rate * 0.1 ** (step / steps));
  }
  requireFinite(weights, 'the reweighted baseline');
  return weights;
}

/**
 * Adversarial reweighting: the adversary, linear in (x, y, 1), raises the loss by lambda_i = 1 + s_i / max(mean s, 1e-4).
 * Learner and adversary take turns, both linear, from the pooled solution.
 */
export function adversariallyReweighted(train: Rows, descent: Descent = {}): Float64Array {
  const { x, y, d } = train;
  const pooled = convergedLogistic(train);
  const adversary = new Float64Array(d + 2);
  const adam = new AdamState(d + 2);
  const gradient = new Float64Array(d + 2);
  return weightedDescent(train, descent, pooled, (losses, rows) => {
    const s = Float64Array.from(rows, (i) => {
      let a = adversary[d]! * y[i]! + adversary[d + 1]!;
      for (let j = 0; j < d; j++) {
        a += adversary[j]! * x[i * d + j]!;
      }
      return sigmoid(a);
    });
    const mean = Math.max(s.reduce((sum, v) => sum + v, 0) / s.length, 1e-4);
    const weighted = s.reduce((sum, v, b) => sum + v * losses[b]!, 0) / s.length;
    gradient.fill(0);
    rows.forEach((i, b) => {
      // Ascent on mean_i (s_i / mean s) l_i, through the normaliser too.
      const slope = ((losses[b]! - weighted / mean) / mean) * s[b]! * (1 - s[b]!);
      const g = -slope / s.length;
      for (let j = 0; j < d; j++) {
        gradient[j]! += g * x[i * d + j]!;
      }
      gradient[d]! += g * y[i]!;
      gradient[d + 1]! += g;
    });
    adam.step(adversary, gradient, 0.01);
    return s.map((v) => 1 + v / mean);
  });
}

/** Distributionally robust: minimises mean relu(l - eta)^2, so only rows with a loss above eta count. */
export const distributionallyRobust = (train: Rows, eta = 0.5, descent: Descent = {}): Float64Array =>
  weightedDescent(train, descent, convergedLogistic(train), (losses) =>
    losses.map((loss) => 2 * Math.max(0, loss - eta)),
  );
