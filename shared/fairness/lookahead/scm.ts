/**
 * Linear structural causal models: a directed acyclic graph of variables, each an intercept, an effect of the sensitive
 * attribute, weighted parents and an own exogenous variable U times a scale. The status is one of the variables.
 */
import { dataError } from '../data-error.ts';

export type ScmVariable = {
  name: string;
  intercept: number;
  /** Weight of every parent variable, by name. */
  parents: Readonly<Record<string, number>>;
  /** Direct effect of the attribute, one per attribute value. */
  effects: readonly number[];
  /** Factor of the exogenous variable; 0 for a variable without one. */
  scale: number;
};
export type LinearScm = { values: readonly number[]; variables: readonly ScmVariable[]; status: string };

/**
 * A model in the form the methods use. Indices are positions in `order`, a topological order that ends nowhere in
 * particular; `reach[j]` = dY / d(shift of variable j), `slopes[j]` = dY / dU_j = reach[j] scale_j.
 */
export type CompiledScm = {
  scm: LinearScm;
  order: readonly ScmVariable[];
  index: ReadonlyMap<string, number>;
  status: number;
  reach: Float64Array;
  slopes: Float64Array;
};

/**
 * Checks and orders a model. Raises `data_invalid` (scm_invalid, scm_cycle) with a pointer to the variable, as in a document
 * that holds the model as `scm`.
 */
export function compileScm(scm: LinearScm): CompiledScm {
  const at = new Map(scm.variables.map((v, i) => [v.name, i]));
  if (at.size !== scm.variables.length) {
    throw dataError('scm_invalid', '/scm/variables', 'two variables have the same name');
  }
  if (!at.has(scm.status)) {
    throw dataError('scm_invalid', '/scm/status', `the status ${scm.status} is not a variable`);
  }
  if (scm.values.length < 2 || new Set(scm.values).size !== scm.values.length) {
    throw dataError('scm_invalid', '/scm/values', 'the attribute needs at least two different values');
  }
  scm.variables.forEach((v, i) => {
    const numbers = [v.intercept, v.scale, ...v.effects, ...Object.values(v.parents)];
    if (!numbers.every(Number.isFinite)) {
      throw dataError('scm_invalid', `/scm/variables/${i}`, `${v.name} has a coefficient that is not finite`);
    }
    if (v.effects.length !== scm.values.length) {
      throw dataError(
        'scm_invalid',
        `/scm/variables/${i}/effects`,
        `${v.name} needs ${scm.values.length} effects, one per attribute value`,
      );
    }
    for (const parent of Object.keys(v.parents)) {
      if (!at.has(parent)) {
        throw dataError('scm_invalid', `/scm/variables/${i}/parents`, `${v.name} has an unknown parent ${parent}`);
      }
    }
  });
  const order: ScmVariable[] = [];
  const state = new Map<string, 'open' | 'done'>();
  // An explicit stack: a chain of thousands of variables must not exhaust the call stack.
  for (const start of scm.variables) {
    const stack: { v: ScmVariable; parents: string[] }[] = [];
    const enter = (v: ScmVariable): void => {
      state.set(v.name, 'open');
      stack.push({ v, parents: Object.keys(v.parents) });
    };
    if (!state.has(start.name)) {
      enter(start);
    }
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const parent = top.parents.pop();
      if (parent === undefined) {
        state.set(top.v.name, 'done');
        order.push(top.v);
        stack.pop();
      } else if (state.get(parent) === 'open') {
        throw dataError(
          'scm_cycle',
          `/scm/variables/${at.get(top.v.name)}/parents`,
          `${top.v.name} depends on itself through ${parent}`,
        );
      } else if (!state.has(parent)) {
        enter(scm.variables[at.get(parent)!]!);
      }
    }
  }
  const index = new Map(order.map((v, j) => [v.name, j]));
  const status = index.get(scm.status)!;
  const reach = new Float64Array(order.length);
  reach[status] = 1;
  for (let j = status; j >= 0; j--) {
    for (const [parent, weight] of Object.entries(order[j]!.parents)) {
      reach[index.get(parent)!]! += weight * reach[j]!;
    }
  }
  return { scm, order, index, status, reach, slopes: reach.map((r, j) => r * order[j]!.scale) };
}

/**
 * What the status is at U = 0 under attribute value number `a`. Direct effects on the variables in `fair` stay at value
 * number `factual`: the counterfactual along unfair paths only.
 */
export function statusOffset(
  { order, reach }: CompiledScm,
  a: number,
  fair?: ReadonlySet<string>,
  factual = a,
): number {
  let total = 0;
  order.forEach((v, j) => {
    total += reach[j]! * (v.intercept + v.effects[fair?.has(v.name) ? factual : a]!);
  });
  return total;
}

/**
 * Abduction with additive noise: U_j = (x_j - intercept_j - effect_j(a) - weights . parents) / scale_j. `x` holds a row of
 * values in topological order, NaN where not observed; those U_j, and those of scale 0, are set to `prior`.
 */
export function abduct(
  { order, index }: CompiledScm,
  x: ArrayLike<number>,
  a: number,
  prior: number,
  out: Float64Array,
): void {
  order.forEach((v, j) => {
    let mean = v.intercept + v.effects[a]!;
    for (const [parent, weight] of Object.entries(v.parents)) {
      mean += weight * x[index.get(parent)!]!;
    }
    const u = (x[j]! - mean) / v.scale;
    out[j] = Number.isFinite(u) ? u : prior;
  });
}

/** Values of every variable, in topological order, from exogenous `u` under attribute value number `a`. */
export function simulate({ order, index }: CompiledScm, u: ArrayLike<number>, a: number, out: Float64Array): void {
  order.forEach((v, j) => {
    let value = v.intercept + v.effects[a]! + v.scale * u[j]!;
    for (const [parent, weight] of Object.entries(v.parents)) {
      value += weight * out[index.get(parent)!]!;
    }
    out[j] = value;
  });
}
