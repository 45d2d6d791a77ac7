/** Dense layers: alone, under the group LASSO, and under both definitions of the elastic group LASSO, by proximal steps. */
import * as g from '../../graph/index.ts';
import { normal } from '../../nn/index.ts';
import type { Constraint } from '../../training/index.ts';
import { normsOfTiles, scaled, shrunk, softThreshold } from '../layer/shrinkage.ts';
import type { Grid } from '../tiles/tiles.ts';
import { type LinearLayer, type Method, valuesOf, weightName } from './method.ts';
import { keptTiles, type PenaltyPlan, penaltyInputs, penaltyScalars } from './penalty.ts';

/**
 * What is added to lambda sum sqrt(m n) ||W_tile||: nothing; half of lambda times the sum of magnitudes, as public code has
 * it (0.1 and 0.05 of the means); or half of lambda times the sum of squares, as elsewhere in the literature.
 */
type Elastic = 'none' | 'l1' | 'l2';

export const denseWeightOf = ({ name, inputs, outputs }: Omit<LinearLayer, 'grid'>, gain: number): g.Tensor =>
  g.parameter(weightName(name), [inputs, outputs], normal(gain / Math.sqrt(inputs)));

/** The parts that all methods with a dense weight share. */
export const denseParts = (gain: number) => ({
  product: (layer: LinearLayer, x: g.Tensor): g.Tensor => g.matmul(x, denseWeightOf(layer, gain)),
  state: (layer: LinearLayer, values: Parameters<Method['state']>[1]) => ({
    weight: valuesOf(values, weightName(layer.name)),
    factors: null,
  }),
  weight: (layer: LinearLayer): g.Tensor => denseWeightOf(layer, gain),
  start: ({ name }: LinearLayer, weight: Float32Array) => ({ [weightName(name)]: weight }),
  rank: null,
});

export const denseMethod = ({ gain }: { gain: number }): Method => ({
  name: 'dense',
  ...denseParts(gain),
  constraints: [],
  groups: [],
  scalars: () => ({}),
});

type LassoOptions = {
  momentum: number;
  penalty: PenaltyPlan;
  elastic: Elastic;
  gain: number;
  /** Layers that are penalised. */
  layers: readonly LinearLayer[];
};

export function groupLassoMethod({ momentum, penalty, elastic, gain, layers }: LassoOptions): Method {
  const { lambda, frozen } = penaltyInputs();
  const grids = new Map(layers.map(({ name, grid }) => [weightName(name), grid]));
  const gridOf = (name: string): Grid => {
    const grid = grids.get(name);
    if (!grid) {
      throw new RangeError(`no grid for '${name}'`);
    }
    return grid;
  };
  const constraint: Constraint = {
    name: `group_lasso_${elastic}`,
    applies: (name) => grids.has(name),
    parameter(weight, { rate, before }) {
      const tau = scaled(rate, { lambda, momentum });
      return tilesShrunk(weight, before, { tau, frozen, elastic, grid: gridOf(g.nameOf(before)) });
    },
  };
  return {
    name: { none: 'group_lasso', l1: 'elastic_l1', l2: 'elastic_l2' }[elastic],
    ...denseParts(gain),
    constraints: [constraint],
    groups: [],
    scalars: (step) => penaltyScalars(penalty, step),
  };
}

function tilesShrunk(
  weight: g.Tensor,
  before: g.Tensor,
  { tau, frozen, elastic, grid }: { tau: g.Tensor; frozen: g.Tensor; elastic: Elastic; grid: Grid },
): g.Tensor {
  const { p, q, m, n } = grid;
  const half = g.mul(tau, 0.5);
  const apart = elastic === 'l1' ? softThreshold(weight, half) : weight;
  const tiles = g.reshape(apart, [p, m, q, n]);
  const after = shrunk(tiles, normsOfTiles(apart, grid), g.mul(tau, Math.sqrt(m * n)));
  // The proximal step of half a square: division by 1 + tau.
  const divided = elastic === 'l2' ? g.div(after, g.add(tau, 1)) : after;
  const alive = g.greater(g.max(g.abs(g.reshape(before, [p, m, q, n])), [1, 3], true), 0);
  return g.reshape(g.mul(divided, keptTiles(alive, frozen)), weight.shape);
}
