/**
 * The score as a function of the index V, the variable that is additive in U: the status is Y = f(V), f the identity or an
 * increasing concave power, and a score p1 s(Yc) + p2 Yc reads it through a convex s. With G = p1 s o f, two worlds move as
 *   V' - Vc' = (V - Vc) (1 - G''(xi) / T)
 * so what decides is the largest curvature of s o f: p1 = rho T / curvature keeps 0 <= G'' <= rho T (arXiv:2412.01065,
 * theorems 5.1 to 5.3).
 */
import { dataError } from '../data-error.ts';

/** A convex function of the counterfactual status and its derivative. */
export type OuterFunction = { value(y: number): number; slope(y: number): number };

/** v -> b v^exponent for v > 0. */
export const powerCurve = (b: number, exponent: number) => ({
  value: (v: number): number => b * v ** exponent,
  slope: (v: number): number => b * exponent * v ** (exponent - 1),
});

/** s: y^2, y^exponent for y > 0, or a convex function by its derivative, linear between (and beyond) knots. */
export type OuterForm =
  | { kind: 'quadratic' }
  | { kind: 'power'; exponent: number }
  | { kind: 'knots'; at: readonly number[]; slopes: readonly number[] };
/** Y = scale V^exponent, V > 0, exponent in (0, 1). */
export type StatusCurve = { scale: number; exponent: number };

export type Shape = {
  /** f, its derivative and its inverse. */
  status: { value(v: number): number; slope(v: number): number; inverse(y: number): number };
  outer: OuterFunction;
  /** Least index of any world for which the curvature is the largest; -Infinity where every index will do. */
  lowest: number;
  /** Largest second derivative of s o f at or above `lowest`. */
  curvature: number;
  /** Y = V and s = y^2: the gap factor is the same for everybody, and averages over unknown noise have a closed form. */
  plain: boolean;
};

const square: OuterFunction = { value: (y) => y * y, slope: (y) => 2 * y };
const identity: Shape['status'] = { value: (v) => v, slope: () => 1, inverse: (y) => y };

/** Raises `data_invalid` (response_invalid) for a form without a finite positive curvature on its range. */
export function compileShape(outer: OuterForm, curve: StatusCurve | undefined, lowest: number | undefined): Shape {
  if (outer.kind === 'knots') {
    if (curve) {
      throw dataError('response_invalid', '/outer', 'knots need an uncurved status; quadratic or power fit');
    }
    return { status: identity, lowest: Number.NEGATIVE_INFINITY, plain: false, ...knots(outer.at, outer.slopes) };
  }
  const exponent = outer.kind === 'quadratic' ? 2 : outer.exponent;
  if (!curve && exponent === 2) {
    return { status: identity, outer: square, lowest: Number.NEGATIVE_INFINITY, curvature: 2, plain: true };
  }
  const { scale, exponent: bend } = curve ?? { scale: 1, exponent: 1 };
  const total = bend * exponent;
  if (!(total > 1 && total <= 2)) {
    throw dataError(
      'response_invalid',
      outer.kind === 'power' ? '/outer/exponent' : '/curve/exponent',
      `the score must be convex in the index: exponents multiply to ${total}, which must lie in (1, 2]`,
    );
  }
  if (lowest === undefined || !(lowest > 0)) {
    throw dataError('response_invalid', '/lowest', 'a power needs the least index of any world, above 0');
  }
  return {
    status: curve
      ? { ...powerCurve(scale, bend), inverse: (y) => (y > 0 ? (y / scale) ** (1 / bend) : Number.NaN) }
      : identity,
    outer: exponent === 2 ? square : powerCurve(1, exponent),
    lowest,
    curvature: scale ** exponent * total * (total - 1) * lowest ** (total - 2),
    plain: false,
  };
}

/** The convex function that is 0 at the first knot and whose derivative runs through (at, slopes) in straight lines. */
function knots(at: readonly number[], slopes: readonly number[]): { outer: OuterFunction; curvature: number } {
  if (at.length !== slopes.length || at.length < 2) {
    throw dataError('response_invalid', '/outer/slopes', `${at.length} knots need as many slopes, and at least two`);
  }
  const rates = at.slice(1).map((right, k) => (slopes[k + 1]! - slopes[k]!) / (right - at[k]!));
  rates.forEach((rate, k) => {
    if (!(at[k + 1]! > at[k]!)) {
      throw dataError('response_invalid', `/outer/at/${k + 1}`, 'knots must increase');
    }
    if (!(rate >= 0 && Number.isFinite(rate))) {
      throw dataError('response_invalid', `/outer/slopes/${k + 1}`, 'slopes must not decrease: the score is convex');
    }
  });
  const curvature = Math.max(...rates);
  if (curvature === 0) {
    throw dataError('response_invalid', '/outer/slopes', 'a straight line leaves every gap');
  }
  const values = [0];
  for (let k = 1; k < at.length; k++) {
    values.push(values[k - 1]! + ((slopes[k]! + slopes[k - 1]!) / 2) * (at[k]! - at[k - 1]!));
  }
  const segment = (y: number): number => {
    let [low, high] = [0, rates.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (at[middle]! <= y) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  };
  return {
    curvature,
    outer: {
      value(y) {
        const k = segment(y);
        const step = y - at[k]!;
        return values[k]! + slopes[k]! * step + (rates[k]! * step * step) / 2;
      },
      slope(y) {
        const k = segment(y);
        return slopes[k]! + rates[k]! * (y - at[k]!);
      },
    },
  };
}
