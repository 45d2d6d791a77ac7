/**
 * Lookahead counterfactual fairness (Zuo, Xie, Tan, Zhang, Khalili, arXiv:2412.01065) as it is defined, person by person: people
 * react to a published score by moving their exogenous variables, U' = U + eta grad_U Y^, and fairness is asked of the status
 * that follows. Tests and studies compare the closed forms of `shared/fairness/lookahead/` with it.
 */
import { requireEta } from '../../shared/fairness/lookahead/constants.ts';
import { type CompiledScm, statusOffset } from '../../shared/fairness/lookahead/scm.ts';
import type { OuterFunction } from '../../shared/fairness/lookahead/shape.ts';

/** `gradient` writes dY/dU at (u, a) into `out` (size). */
export type StatusModel = {
  size: number;
  value(u: ArrayLike<number>, a: number): number;
  gradient(u: ArrayLike<number>, a: number, out: Float64Array): void;
};

/** Y = offset(a) + c . U: every linear structural model, with or without a direct effect of the attribute. */
export const additiveStatus = (slopes: Float64Array, offset: (a: number) => number): StatusModel => ({
  size: slopes.length,
  value(u, a) {
    let y = offset(a);
    for (let i = 0; i < slopes.length; i++) {
      y += slopes[i]! * u[i]!;
    }
    return y;
  },
  gradient(_u, _a, out) {
    out.set(slopes);
  },
});

/** A term of the score that reads exogenous variables only; `gradient` adds to `out`. */
export type FreeTerm = { value(u: ArrayLike<number>): number; gradient(u: ArrayLike<number>, out: Float64Array): void };

/**
 * The score Y^ = sum over other values b of g(Yc_b) + h(U) and the people who react to it. `frozen[i] = 1` where people do
 * not move U_i: a variable they cannot change, or one the published average does not contain.
 */
export type Reaction = {
  model: StatusModel;
  outer: OuterFunction;
  free?: FreeTerm;
  eta: number;
  frozen?: ArrayLike<number>;
};

/** Future status Y' in the world of attribute `a`: U moves by eta times the score's gradient, then Y is recomputed. */
export function futureStatus(reaction: Reaction, u: ArrayLike<number>, a: number, others: readonly number[]): number {
  const { model, outer, free, eta, frozen } = reaction;
  const gradient = new Float64Array(model.size);
  const step = new Float64Array(model.size);
  for (const b of others) {
    const slope = outer.slope(model.value(u, b));
    model.gradient(u, b, gradient);
    for (let i = 0; i < step.length; i++) {
      step[i]! += slope * gradient[i]!;
    }
  }
  free?.gradient(u, step);
  const moved = Float64Array.from(u);
  for (let i = 0; i < moved.length; i++) {
    if (!frozen?.[i]) {
      moved[i]! += eta * step[i]!;
    }
  }
  return model.value(moved, a);
}

/** Status now, status after the reaction, in the factual world and in the one with the other attribute value. */
export type Futures = { present: number; presentOther: number; future: number; futureOther: number };

export function futures(
  reaction: Reaction,
  u: ArrayLike<number>,
  a: number,
  other: number,
  values: readonly number[],
): Futures {
  const without = (x: number): number[] => values.filter((value) => value !== x);
  return {
    present: reaction.model.value(u, a),
    presentOther: reaction.model.value(u, other),
    future: futureStatus(reaction, u, a, without(a)),
    futureOther: futureStatus(reaction, u, other, without(other)),
  };
}

/** |1 - 2 p1 / T|, the future gap relative to the present one under a quadratic score. */
export const gapFactor = (p1: number, constant: number): number => Math.abs(1 - (2 * p1) / constant);

/** The factor 1 - 0.75 / (sqrt y + sqrt yc) of the score p1 y^1.5 with p1 = T / 2, generalised to any p1. */
export const powerGapFactor = (p1: number, constant: number, y: number, yc: number): number =>
  1 - (1.5 * p1) / constant / (Math.sqrt(y) + Math.sqrt(yc));

/**
 * Largest p1 for which g = p1 y^2 shrinks every gap of Y = b (U + phi)^(2/3), with `lowest` the least value of U + phi:
 * G'' < 2 / eta, where G = g o f = p1 b^2 v^(4/3).
 */
export const postNonlinearLimit = (b: number, eta: number, lowest: number): number =>
  9 / (2 * eta * b ** 2 * lowest ** (-2 / 3));

/**
 * Whether the outer function makes every gap on [low, high] smaller: 0 < (g'(y) - g'(yc)) / (y - yc) < 2 T, checked on the
 * derivative's slopes between `steps` points (exact for convex g whose slopes are monotone between them).
 */
export function isRelaxed(
  slope: (y: number) => number,
  constant: number,
  low: number,
  high: number,
  steps = 1000,
): boolean {
  const h = (high - low) / steps;
  for (let i = 0; i < steps; i++) {
    const rate = (slope(low + (i + 1) * h) - slope(low + i * h)) / h;
    if (!(rate > 0 && rate < 2 * constant)) {
      return false;
    }
  }
  return true;
}

/**
 * Least mean squared error that exact fairness costs in the linear model when U is known and h is free:
 * 4 p1^2 gap^2 Var(A) Var(c . U), `gap` the present gap per unit of A.
 */
export const leastError = (p1: number, gap: number, attributeVariance: number, statusVariance: number): number =>
  4 * p1 ** 2 * gap ** 2 * attributeVariance * statusVariance;

/** p1 y^2 + p2 y + p3. */
export const quadratic = (p1: number, p2 = 0, p3 = 0): OuterFunction => ({
  value: (y) => p1 * y * y + p2 * y + p3,
  slope: (y) => 2 * p1 * y + p2,
});

/** p1 y^exponent for y > 0. */
export const power = (p1: number, exponent: number): OuterFunction => ({
  value: (y) => p1 * y ** exponent,
  slope: (y) => p1 * exponent * y ** (exponent - 1),
});

export const linearTerm = (coefficients: ArrayLike<number>): FreeTerm => ({
  value(u) {
    let sum = 0;
    for (let i = 0; i < coefficients.length; i++) {
      sum += coefficients[i]! * u[i]!;
    }
    return sum;
  },
  gradient(_u, out) {
    for (let i = 0; i < coefficients.length; i++) {
      out[i]! += coefficients[i]!;
    }
  },
});

/** The score of a person with exogenous `u` in the world of attribute `a`; `others` are the other attribute values. */
export function score({ model, outer, free }: Reaction, u: ArrayLike<number>, others: readonly number[]): number {
  let total = free ? free.value(u) : 0;
  for (const b of others) {
    total += outer.value(model.value(u, b));
  }
  return total;
}

/** Average future causal effect, present gap, and the unfairness improvement ratio 1 - AFCE / present gap. */
export type LookaheadGaps = { present: number; future: number; improvement: number };

/**
 * Gaps over people: rows of `u` (n x size, row-major; several draws of one person count as several rows) with attribute
 * `a[i]`, averaged over every other attribute value.
 */
export function lookaheadGaps(
  reaction: Reaction,
  u: Float64Array,
  a: ArrayLike<number>,
  values: readonly number[],
): LookaheadGaps {
  requireEta(reaction.eta);
  const { size } = reaction.model;
  let [present, future, pairs] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const person = u.subarray(i * size, (i + 1) * size);
    for (const other of values) {
      if (other === a[i]) {
        continue;
      }
      const f = futures(reaction, person, a[i]!, other, values);
      present += Math.abs(f.present - f.presentOther);
      future += Math.abs(f.future - f.futureOther);
      pairs += 1;
    }
  }
  return { present: present / pairs, future: future / pairs, improvement: 1 - future / present };
}

/** The status model whose attribute argument is a value's number. See `statusOffset` for `fair` and `factual`. */
export const scmStatus = (compiled: CompiledScm, fair?: ReadonlySet<string>, factual?: number): StatusModel =>
  additiveStatus(compiled.slopes, (a) => statusOffset(compiled, a, fair, factual ?? a));

/** X = a (alpha U_X + beta) elementwise, Y = w . X + gamma U_Y; U = (U_X, U_Y), so of size d + 1. */
export function multiplicativeStatus(
  alpha: ArrayLike<number>,
  beta: ArrayLike<number>,
  w: ArrayLike<number>,
  gamma: number,
): StatusModel {
  const d = w.length;
  return {
    size: d + 1,
    value(u, a) {
      let y = gamma * u[d]!;
      for (let i = 0; i < d; i++) {
        y += w[i]! * a * (alpha[i]! * u[i]! + beta[i]!);
      }
      return y;
    },
    gradient(_u, a, out) {
      for (let i = 0; i < d; i++) {
        out[i] = a * w[i]! * alpha[i]!;
      }
      out[d] = gamma;
    },
  };
}

/** Y = f(U + phi(a)) with one exogenous variable; `slope` is f'. */
export const postNonlinearStatus = (
  f: { value(v: number): number; slope(v: number): number },
  phi: (a: number) => number,
): StatusModel => ({
  size: 1,
  value: (u, a) => f.value(u[0]! + phi(a)),
  gradient(u, a, out) {
    out[0] = f.slope(u[0]! + phi(a));
  },
});
