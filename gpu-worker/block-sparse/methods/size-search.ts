/** Candidates of several tile sizes for every layer at once (11); those that vanish leave the program. */
import * as g from '../../graph/index.ts';
import { factorNames, kroneckerFactors } from '../layer/layer.ts';
import { patternStep, summedProduct, summedWeight } from '../layer/size-search.ts';
import { denseWeight, type Factors, factorise } from '../tiles/factors.ts';
import { divides, gridOf, type Tile } from '../tiles/tiles.ts';
import { type Decay, deadStayDead, decayOf, factorsOf } from './kronecker.ts';
import { type LinearLayer, type Method, type Values, valuesOf } from './method.ts';
import { LAMBDA, type PenaltyPlan, penaltyInputs, penaltyScalars } from './penalty.ts';

type SizeSearchOptions = {
  tiles: readonly Tile[];
  rank: number;
  momentum: number;
  /** L1 penalty on the entries of S. */
  entries: PenaltyPlan;
  /** Penalty on the norm of each candidate's S, times the root of its size. */
  group: PenaltyPlan;
  decay: Decay;
  gain: number;
};

const GROUP = 'group_penalty';
const candidateName = (layer: string, [m, n]: Tile): string => `${layer}.${m}x${n}`;

type SizeSearch = Method & {
  /** Sizes that a layer still has. */
  survivors(layer: LinearLayer): Tile[];
  /** The factors of each of them. */
  factors(layer: LinearLayer, values: Values): readonly { tile: Tile; factors: Factors }[];
};

/** @param gone candidates that vanished already, by name */
export function sizeSearchMethod(options: SizeSearchOptions, gone: ReadonlySet<string> = new Set()): SizeSearch {
  const { tiles, rank, momentum, entries, group, decay, gain } = options;
  const { lambda, frozen } = penaltyInputs();
  const groupLambda = g.input(GROUP, []);
  const survivors = ({ name, inputs, outputs }: LinearLayer): Tile[] =>
    tiles.filter((tile) => divides(inputs, outputs, tile) && !gone.has(candidateName(name, tile)));
  const factors: SizeSearch['factors'] = (layer, values) =>
    survivors(layer).map((tile) => {
      const grid = gridOf(layer.inputs, layer.outputs, tile);
      return { tile, factors: factorsOf(grid, candidateName(layer.name, tile), rank, values) };
    });
  // Every candidate starts with its share of the variance of W.
  const share = gain / Math.sqrt(tiles.length);
  const candidatesOf = (layer: LinearLayer) =>
    survivors(layer).map((tile) =>
      kroneckerFactors(candidateName(layer.name, tile), [layer.inputs, layer.outputs], { tile, rank, gain: share }),
    );
  return {
    name: 'size_search',
    rank,
    product(layer, x) {
      const candidates = candidatesOf(layer);
      if (candidates.length > 0) {
        return summedProduct(x, candidates);
      }
      return g.matmul(x, g.filled([layer.inputs, layer.outputs], 0));
    },
    weight(layer) {
      const candidates = candidatesOf(layer);
      return candidates.length > 0 ? summedWeight(candidates) : g.filled([layer.inputs, layer.outputs], 0);
    },
    start: (layer, weight) =>
      Object.assign(
        {},
        ...survivors(layer).map((tile) => {
          const fit = factorise(weight, gridOf(layer.inputs, layer.outputs, tile)).fit(rank);
          const names = factorNames(candidateName(layer.name, tile));
          const a = Float64Array.from(fit.a, (value) => value / tiles.length);
          return { [names.s]: fit.s, [names.a]: a, [names.b]: fit.b };
        }),
      ),
    constraints: [
      ...decayOf(decay),
      patternStep(/\.S$/, { lambda, momentum }, { lambda: groupLambda, momentum }),
      deadStayDead(frozen),
    ],
    groups: decay.kind === 'coupled' ? [{ match: /\.[AB]$/, weightDecay: decay.value }] : [],
    scalars: (step) => ({ ...penaltyScalars(entries, step), [GROUP]: penaltyScalars(group, step)[LAMBDA]! }),
    state(layer, values) {
      const weight = new Float32Array(layer.inputs * layer.outputs);
      for (const { factors: of } of factors(layer, values)) {
        denseWeight(of).forEach((value, i) => {
          weight[i] = weight[i]! + value;
        });
      }
      return { weight, factors: null };
    },
    simplified(values) {
      const suffix = '.S';
      const dead = Object.keys(values)
        .filter((name) => name.endsWith(suffix) && valuesOf(values, name).every((value) => value === 0))
        .map((name) => name.slice(0, -suffix.length));
      if (dead.length === 0) {
        return undefined;
      }
      const method = sizeSearchMethod(options, new Set([...gone, ...dead]));
      const names = new Set<string>(dead.flatMap((name) => Object.values(factorNames(name))));
      return { method, gone: (parameter) => names.has(parameter) };
    },
    survivors,
    factors,
  };
}
