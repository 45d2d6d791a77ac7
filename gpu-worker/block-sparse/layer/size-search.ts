/**
 * Several tile sizes in one run (11): W is the sum of a layer for each candidate, whose S carry an L1 penalty and a group
 * penalty. The group penalty drives all sets but one to zero; a set that vanished leaves the program at the next chunk.
 */
import * as g from '../../graph/index.ts';
import { type Constraint, type Match, matches } from '../../training/index.ts';
import { builtWeight, type FactorTensors, kroneckerProduct } from './layer.ts';
import { type Strength, scaled, shrunk, softThreshold } from './shrinkage.ts';

/** w_k = sqrt(numel S): with any weight that falls with the size of S, small tiles survive because they have more entries. */
const patternWeight = (s: g.Tensor): number =>
  Math.sqrt((s.shape as number[]).reduce((product, size) => product * size, 1));

/** Where S is zero the norm has no slope, and the root of a tiny number stands for it. */
const norm = (s: g.Tensor): g.Tensor => g.sqrt(g.maximum(g.sum(g.square(s)), 1e-36));

/** lambda1 ||S||_1 + lambda2 w ||S||_F of one candidate. */
export const patternPenalty = (s: g.Tensor, lambda1: g.Operand, lambda2: g.Operand): g.Tensor =>
  g.add(g.mul(g.sum(g.abs(s)), lambda1), g.mul(g.mul(norm(s), patternWeight(s)), lambda2));

/** The proximal step of that penalty: the threshold first, then the scaling by the norm that it left. */
export function patternShrinkage(
  s: g.Tensor,
  threshold: g.Operand,
  group: g.Operand,
): { l1: g.Tensor; after: g.Tensor } {
  const l1 = softThreshold(s, threshold);
  return { l1, after: shrunk(l1, norm(l1), g.mul(g.scalar(patternWeight(s)), group)) };
}

/** The step as a constraint on the S of every candidate. */
export const patternStep = (match: Match, lambda1: Strength, lambda2: Strength): Constraint => ({
  name: 'tile_size',
  applies: (name) => matches(match, name),
  parameter: (s, { rate }) => patternShrinkage(s, scaled(rate, lambda1), scaled(rate, lambda2)).after,
});

export const summedWeight = (candidates: readonly FactorTensors[]): g.Tensor => g.addAll(candidates.map(builtWeight));
/** x times the sum of the candidates, none of which is formed. */
export const summedProduct = (x: g.Tensor, candidates: readonly FactorTensors[]): g.Tensor =>
  g.addAll(candidates.map((factors) => kroneckerProduct(x, factors)));
