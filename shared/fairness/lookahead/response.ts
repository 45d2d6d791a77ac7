/** What a published score does to the people it scores, and the gaps between their factual and counterfactual futures. */
import { dataError } from '../data-error.ts';
import type { StatusModel } from './status.ts';

/** A convex function of the counterfactual status and its derivative. */
export type OuterFunction = { value(y: number): number; slope(y: number): number };
/** A term of the score that reads exogenous variables only; `gradient` adds to `out`. */
export type FreeTerm = { value(u: ArrayLike<number>): number; gradient(u: ArrayLike<number>, out: Float64Array): void };

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

export const requireEta = (eta: number): void => {
  if (!(eta > 0 && Number.isFinite(eta))) {
    throw dataError(
      'response_invalid',
      '/eta',
      `eta, the strength of the reaction, must be a finite number above 0, got ${eta}`,
    );
  }
};

/** The score of a person with exogenous `u` in the world of attribute `a`; `others` are the other attribute values. */
export function score({ model, outer, free }: Reaction, u: ArrayLike<number>, others: readonly number[]): number {
  let total = free ? free.value(u) : 0;
  for (const b of others) {
    total += outer.value(model.value(u, b));
  }
  return total;
}

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
