/** What lookahead predictors on additive models are compared with: scores linear in what is seen, and in U alone. */
import type { CompiledLookahead } from '../../../shared/fairness/lookahead/compiled.ts';
import { compileLookahead, predictLookahead } from '../../../shared/fairness/lookahead/predictor.ts';
import { freeVariables } from '../../../shared/fairness/lookahead/refit.ts';
import { abduct, simulate } from '../../../shared/fairness/lookahead/scm.ts';
import { leastSquares } from '../../../shared/math/least-squares.ts';
import { type Baseline, meanSquare, measured, type People } from './fitted.ts';

/** A design matrix, n x names. */
type Design = { x: Float64Array; names: readonly string[] };

/** The features, without the status where rows carry it: a score of what it predicts would be none. */
function featuresOf({ inputs, scm }: CompiledLookahead, { x, groupIds }: People): Design {
  const kept = inputs.flatMap((name, j) => (name === scm.scm.status ? [] : [j]));
  const out = new Float64Array(groupIds.length * kept.length);
  for (let i = 0; i < groupIds.length; i++) {
    for (const [at, j] of kept.entries()) {
      out[i * kept.length + at] = x[i * inputs.length + j]!;
    }
  }
  return { x: out, names: kept.map((j) => inputs[j]!) };
}

/** The exogenous variables of everything but the status. */
function exogenousOf(compiled: CompiledLookahead, { x, groupIds }: People): Design {
  const { inputs, scm, shape, statusColumn } = compiled;
  const names = freeVariables(compiled).filter((name) => name !== scm.scm.status);
  const [row, u] = [new Float64Array(scm.order.length), new Float64Array(scm.order.length)];
  const out = new Float64Array(groupIds.length * names.length);
  for (let i = 0; i < groupIds.length; i++) {
    row.fill(Number.NaN);
    for (const [j, name] of inputs.entries()) {
      const given = x[i * inputs.length + j]!;
      row[scm.index.get(name)!] = j === statusColumn ? shape.status.inverse(given) : given;
    }
    abduct(scm, row, groupIds[i]!, 0, u);
    for (const [at, name] of names.entries()) {
      out[i * names.length + at] = u[scm.index.get(name)!]!;
    }
  }
  return { x: out, names };
}

/** d(weights . X) / dU_j of every variable with an own U, by name: how a score of X pulls at people. */
function pullOf(compiled: CompiledLookahead, names: readonly string[], weights: Float64Array): Record<string, number> {
  const { scm } = compiled;
  const [u, still, moved] = [0, 1, 2].map(() => new Float64Array(scm.order.length)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  simulate(scm, u, 0, still);
  return Object.fromEntries(
    freeVariables(compiled).map((name) => {
      const j = scm.index.get(name)!;
      u[j] = 1;
      simulate(scm, u, 0, moved);
      u[j] = 0;
      const pull = names.reduce((sum, feature, k) => {
        const at = scm.index.get(feature)!;
        return sum + weights[k]! * (moved[at]! - still[at]!);
      }, 0);
      return [name, pull];
    }),
  );
}

/**
 * Least squares of the status on the features, and on U. Both pull at people alike in every world: an uncurved status keeps
 * its gap, a curved one is moved along its curve by both worlds' common shift.
 */
export function additiveBaselines(compiled: CompiledLookahead, trained: People, held: People): Baseline[] {
  const line = (
    method: string,
    of: (compiled: CompiledLookahead, people: People) => Design,
    pull: (names: readonly string[], weights: Float64Array) => Record<string, number>,
  ): Baseline => {
    const [fitted, tested] = [of(compiled, trained), of(compiled, held)];
    const d = fitted.names.length;
    const { intercept, coefficients } = leastSquares(fitted.x, trained.y, d, { ridge: 1e-9 });
    const scores = held.y.map((_, i) => coefficients.reduce((sum, c, j) => sum + c * tested.x[i * d + j]!, intercept));
    const free = pull(fitted.names, coefficients);
    const pulled = compileLookahead({ ...compiled.predictor, rho: 0, p2: 0, p3: 0, free });
    const { present_gap, future_gap } = measured(held.y, (out, gaps) =>
      predictLookahead(pulled, held.x, held.groupIds, out, gaps),
    );
    return { method, mse: meanSquare(scores, held.y), present_gap, future_gap };
  };
  return [
    line('linear_in_features', featuresOf, (names, weights) => pullOf(compiled, names, weights)),
    line('counterfactually_fair', exogenousOf, (names, weights) =>
      Object.fromEntries(names.map((name, j) => [name, weights[j]!])),
    ),
  ];
}
