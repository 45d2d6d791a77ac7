/**
 * Lookahead counterfactual fairness (Zuo, Xie, Tan, Zhang, Khalili, arXiv:2412.01065): people react to a published score
 * by moving their exogenous variables, U' = U + eta grad_U Y^, and fairness is asked of the status that follows. A status
 * model says how the status Y depends on the exogenous variables U under an attribute value a.
 */

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

/** v -> b v^exponent for v > 0. */
export const powerCurve = (b: number, exponent: number) => ({
  value: (v: number): number => b * v ** exponent,
  slope: (v: number): number => b * exponent * v ** (exponent - 1),
});
