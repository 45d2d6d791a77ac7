/** What a way of training linear layers has to say: its layers as graphs, what happens to them after a step, what they become. */
import type { HostArray, Tensor } from '../../graph/index.ts';
import type { Constraint, ParameterGroup } from '../../training/index.ts';
import type { Factors } from '../tiles/factors.ts';
import type { Grid, Tile } from '../tiles/tiles.ts';

export type LinearLayer = { name: string; inputs: number; outputs: number; grid: Grid };
/** Values of parameters by name. */
export type Values = Readonly<Record<string, { shape: readonly number[]; data: HostArray }>>;

/** What a layer looks like at the end; `weight` is [inputs, outputs]. */
export type LayerState = { weight: Float32Array; factors: Factors | null };

export type Method = {
  name: string;
  /** x times the layer's weight, without a bias. */
  product(layer: LinearLayer, x: Tensor): Tensor;
  /** The weight itself, [inputs, outputs], where a product is not for the method to make. */
  weight(layer: LinearLayer): Tensor;
  /** Parameters that come nearest to a given weight [inputs, outputs]. */
  start(layer: LinearLayer, weight: Float32Array): Readonly<Record<string, ArrayLike<number>>>;
  constraints: readonly Constraint[];
  groups: readonly ParameterGroup[];
  /** Scalars that the constraints read in a step (from 1), by name. */
  scalars(step: number): Readonly<Record<string, number>>;
  state(layer: LinearLayer, values: Values): LayerState;
  /** Terms of a layer's Kronecker sum; null for a dense weight. */
  rank: number | null;
  /** Which tiles are kept, where the method decides that between steps. */
  masks?: MaskRule;
  /** Of a search for the tile size: sizes that a layer still has. */
  survivors?(layer: LinearLayer): Tile[];
  /** The method without what has vanished from these values, and the parameters that go; undefined where all is there. */
  simplified?(
    values: Readonly<Record<string, Values[string]>>,
  ): { method: Method; gone(parameter: string): boolean } | undefined;
};

/** Tiles that are kept, changed by the host every `every` steps. */
export type MaskRule = {
  every: number;
  /** Name of the input [p, q] that holds a layer's mask: 1 for tiles that are trained, 0 for tiles that are zero. */
  input(layer: LinearLayer): string;
  /** The mask at the beginning. */
  start(layer: LinearLayer): Float32Array;
  /** Value of every step that the rule needs from the program, [p, q]: norms of the tiles of the gradient. */
  gradientNorms: boolean;
  /** The mask after `step` steps, from norms of weights and gradients per tile. */
  next(of: {
    layer: LinearLayer;
    step: number;
    mask: Float32Array;
    weights: Float64Array;
    gradients: Float64Array | null;
  }): Float32Array;
};

export const weightName = (layer: string): string => `${layer}.weight`;

/** Numbers of a parameter on the host. @throws RangeError where it is not there */
export function valuesOf(values: Values, name: string): Float32Array {
  const found = values[name];
  if (!found) {
    throw new RangeError(`no parameter '${name}'`);
  }
  return found.data instanceof Float32Array ? found.data : Float32Array.from(found.data, Number);
}
