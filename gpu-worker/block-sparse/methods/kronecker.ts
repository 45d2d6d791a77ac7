/** Layers as masked sums of Kronecker products, S under an L1 penalty by proximal steps, A and B under decay. */
import * as g from '../../graph/index.ts';
import { type Constraint, decoupledDecay } from '../../training/index.ts';
import { builtWeight, factorNames, kroneckerFactors, kroneckerProduct } from '../layer/layer.ts';
import { lassoStep } from '../layer/shrinkage.ts';
import { denseWeight, type Factors, factorise } from '../tiles/factors.ts';
import type { Grid } from '../tiles/tiles.ts';
import { type LinearLayer, type Method, type Values, valuesOf } from './method.ts';
import { keptTiles, type PenaltyPlan, penaltyInputs, penaltyScalars } from './penalty.ts';

/** Coupled decay is added to the gradient, so that momentum carries it; decoupled decay shrinks the parameter itself. */
export type Decay = { kind: 'decoupled' | 'coupled'; value: number };

type KroneckerOptions = {
  rank: number;
  momentum: number;
  penalty: PenaltyPlan;
  decay: Decay;
  /** Standard deviation of the entries of W at the start, times the root of the inputs. */
  gain: number;
  /** Form W and multiply as a dense layer would. */
  build: boolean;
};

const [MASKS, FACTORS] = [/\.S$/, /\.[AB]$/];

export function kroneckerMethod({ rank, momentum, penalty, decay, gain, build }: KroneckerOptions): Method {
  const { lambda, frozen } = penaltyInputs();
  const factors = ({ name, inputs, outputs, grid }: LinearLayer) =>
    kroneckerFactors(name, [inputs, outputs], { tile: [grid.m, grid.n], rank, gain });
  return {
    name: 'kpd',
    rank,
    product: (layer, x) => kroneckerProduct(x, factors(layer), build),
    weight: (layer) => builtWeight(factors(layer)),
    start({ name, grid }, weight) {
      const fit = factorise(weight, grid).fit(rank);
      const names = factorNames(name);
      return { [names.s]: fit.s, [names.a]: fit.a, [names.b]: fit.b };
    },
    constraints: [...decayOf(decay), lassoStep(MASKS, { lambda, momentum }), deadStayDead(frozen)],
    groups: decay.kind === 'coupled' ? [{ match: FACTORS, weightDecay: decay.value }] : [],
    scalars: (step) => penaltyScalars(penalty, step),
    state: ({ name, grid }, values) => factoredState(factorsOf(grid, name, rank, values)),
  };
}

export const decayOf = ({ kind, value }: Decay): Constraint[] =>
  kind === 'decoupled' && value > 0 ? [decoupledDecay(FACTORS, value)] : [];

/** Entries of S that are zero stay so once that is final. */
export const deadStayDead = (frozen: g.Tensor): Constraint => ({
  name: 'dead_stay_dead',
  applies: (name) => MASKS.test(name),
  parameter: (s, { before }) => g.mul(s, keptTiles(g.not(g.equal(before, 0)), frozen)),
});

export function factorsOf(grid: Grid, name: string, rank: number, values: Values): Factors {
  const names = factorNames(name);
  const [s, a, b] = [valuesOf(values, names.s), valuesOf(values, names.a), valuesOf(values, names.b)];
  return { grid, rank, s, a, b };
}
const factoredState = (factors: Factors) => ({ weight: Float32Array.from(denseWeight(factors)), factors });
