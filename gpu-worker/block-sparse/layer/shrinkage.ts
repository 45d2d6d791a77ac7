/**
 * Proximal steps: after each step of the optimiser they move parameters towards zero, and tiles to zero exactly, which a
 * penalty in the loss never does. All scale with the step's learning rate.
 */
import * as g from '../../graph/index.ts';
import { type Constraint, type Match, matches } from '../../training/index.ts';
import type { Grid } from '../tiles/tiles.ts';

/** sign(x) max(|x| - tau, 0), for tau >= 0 of a shape that broadcasts to x. */
export const softThreshold = (x: g.Tensor, tau: g.Operand): g.Tensor =>
  g.sub(g.relu(g.sub(x, tau)), g.relu(g.sub(g.neg(x), tau)));

/** x scaled so that its norm is less by tau, down to zero; `norm` broadcasts to x. */
export function shrunk(x: g.Tensor, norm: g.Tensor, tau: g.Operand): g.Tensor {
  // Where the norm is 0 the quotient is not a number, and x is 0 whatever it is multiplied by.
  const safe = g.maximum(norm, 1e-30);
  return g.mul(x, g.relu(g.sub(1, g.div(tau, safe))));
}

/** Frobenius norm of every tile of W [p m, q n], laid out [p, 1, q, 1] so that it broadcasts to [p, m, q, n]. */
export const normsOfTiles = (weight: g.Tensor, { p, q, m, n }: Grid): g.Tensor =>
  g.sqrt(g.sum(g.square(g.reshape(weight, [p, m, q, n])), [1, 3], true));

/** How strong a penalty is: the coefficient of this step, and the momentum that multiplies every move. */
export type Strength = { lambda: g.Operand; momentum: number };

/** The move of this step: rate lambda / (1 - momentum). */
export const scaled = (rate: g.Tensor, { lambda, momentum }: Strength): g.Tensor =>
  g.mul(g.mul(rate, lambda), 1 / (1 - momentum));

/** (9): S <- sign(S) max(|S| - tau, 0) with tau = rate lambda / (1 - momentum). */
export const lassoStep = (match: Match, strength: Strength): Constraint => ({
  name: 'lasso',
  applies: (name) => matches(match, name),
  parameter: (s, { rate }) => softThreshold(s, scaled(rate, strength)),
});
