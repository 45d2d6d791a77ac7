/** Conditions that parameters keep while they are trained. */
import * as g from '../graph/index.ts';

/** What a constraint on a parameter may know of the step. */
type ConstrainedStep = {
  /** The parameter's learning rate in this step, a float32 scalar. */
  rate: g.Tensor;
  /** The parameter as it was before the step. */
  before: g.Tensor;
};

export type Constraint = {
  name: string;
  applies(parameter: string): boolean;
  /** Changes the gradient before clipping and the optimiser. */
  gradient?(gradient: g.Tensor, parameter: g.Tensor): g.Tensor;
  /** Changes the parameter after the optimiser's step. May use inputs, which are fed like those of the loss. */
  parameter?(parameter: g.Tensor, step: ConstrainedStep): g.Tensor;
  /** Changes each of the optimiser's states of the parameter, all of its shape, after the step. */
  slot?(slot: g.Tensor): g.Tensor;
};

export type Match = RegExp | string | ((name: string) => boolean);
export function matches(match: Match, name: string): boolean {
  if (typeof match === 'string') {
    return match === name;
  }
  return match instanceof RegExp ? match.test(name) : match(name);
}

/** Rows of unit length: the gradient's component along each row is removed, then the moved rows are normalised. */
export const unitRows = (match: Match): Constraint => ({
  name: 'unit_rows',
  applies: (name) => matches(match, name),
  gradient: (gradient, parameter) => g.sub(gradient, g.mul(parameter, g.sum(g.mul(gradient, parameter), -1, true))),
  parameter: (parameter) => g.div(parameter, g.sqrt(g.sum(g.square(parameter), -1, true))),
});

/** Decay apart from the gradient (Loshchilov & Hutter 2019), after the step: p <- p - rate * decay * p. */
export const decoupledDecay = (match: Match, decay: number): Constraint => ({
  name: 'decoupled_decay',
  applies: (name) => matches(match, name),
  parameter: (parameter, { rate }) => g.mul(parameter, g.sub(1, g.mul(rate, decay))),
});

/** Elements that never fall below zero. */
export const nonNegative = (match: Match): Constraint => ({
  name: 'non_negative',
  applies: (name) => matches(match, name),
  parameter: (parameter) => g.maximum(parameter, 0),
});
