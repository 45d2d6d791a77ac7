/** How a trained model is stored: layers as factors or as block compressed sparse rows, everything else as it is. */

import type { TensorToWrite } from '../../../shared/formats/safetensors.ts';
import type { HostArray } from '../../graph/index.ts';
import type { PointModel } from '../comparison/measure.ts';
import { layerCounts } from '../counts/counts.ts';
import { factorNames } from '../layer/layer.ts';
import type { LayerState, LinearLayer } from '../methods/method.ts';
import { toBlockCsr } from '../tiles/block-csr.ts';
import { type Factors, folded } from '../tiles/factors.ts';
import { liveTiles, type Tile } from '../tiles/tiles.ts';
import { turnedWeight } from '../training/language.ts';

type StoredFormat = 'factored' | 'block_csr';
/** What a manifest says of a layer: y = x W, W of inputs x outputs, tiles row-major in the grid. */
type StoredLayer = {
  format: StoredFormat;
  inputs: number;
  outputs: number;
  tile: Tile;
  live_tiles: number;
  /** Of the factored form alone. */
  rank: number | null;
  order: 'a-first' | 'b-first' | null;
};

const bytesOf = ({ buffer, byteOffset, byteLength }: HostArray) => new Uint8Array(buffer, byteOffset, byteLength);
const float32 = (name: string, shape: readonly number[], data: ArrayLike<number>): TensorToWrite => ({
  name,
  dtype: 'F32',
  shape,
  bytes: bytesOf(Float32Array.from(data)),
});
const int64 = (name: string, data: BigInt64Array): TensorToWrite => ({
  name,
  dtype: 'I64',
  shape: [data.length],
  bytes: bytesOf(data),
});

/** A layer has factors only where a method of factors made it; every other one is stored by tiles. */
function storedLayer(
  layer: LinearLayer,
  { weight, factors }: LayerState,
  format: StoredFormat,
): { entry: StoredLayer; tensors: TensorToWrite[] } {
  const { inputs, outputs, grid } = layer;
  const live_tiles = liveTiles(weight, grid).reduce((sum, live) => sum + live, 0);
  const entry = { inputs, outputs, tile: [grid.m, grid.n] as const, live_tiles };
  if (format === 'factored' && factors) {
    const { order } = layerCounts(grid, factors.rank);
    return {
      entry: { ...entry, format: 'factored', rank: factors.rank, order },
      tensors: factoredTensors(layer.name, factors),
    };
  }
  return { entry: { ...entry, format: 'block_csr', rank: null, order: null }, tensors: blockTensors(layer, weight) };
}

/** `name.S` 1 for live tiles and 0 for dead ones, `name.A` with S taken in, `name.B`. */
function factoredTensors(name: string, factors: Factors): TensorToWrite[] {
  const { grid, rank, s, a, b } = folded(factors);
  const { p, q, m, n } = grid;
  const names = factorNames(name);
  return [float32(names.s, [p, q], s), float32(names.a, [rank, p, q], a), float32(names.b, [rank, m, n], b)];
}

function blockTensors({ name, grid }: LinearLayer, weight: ArrayLike<number>): TensorToWrite[] {
  const { crowIndices, colIndices, values } = toBlockCsr(weight, grid);
  return [
    int64(`${name}.crow_indices`, crowIndices),
    int64(`${name}.col_indices`, colIndices),
    float32(`${name}.values`, [colIndices.length, grid.m, grid.n], values),
  ];
}

/** Parameters of the model that belong to no sparse layer. */
const otherValues = ({ layers, values }: PointModel): [string, PointModel['values'][string]][] =>
  Object.entries(values).filter(([name]) => !layers.some((layer) => belongsTo(layer, name)));
const belongsTo = ({ name: layer }: LinearLayer, name: string): boolean =>
  name.startsWith(`${layer}.`) && /\.(S|A|B|weight)$/.test(name);

/** All tensors of the stored model, and what its manifest says of the sparse layers. */
export function storedModel(
  model: PointModel,
  format: StoredFormat,
): { layers: Record<string, StoredLayer>; tensors: TensorToWrite[] } {
  const each = model.layers.map((layer) => {
    const state = model.states.get(layer.name);
    if (!state) {
      throw new RangeError(`no state of layer '${layer.name}'`);
    }
    return [layer.name, storedLayer(layer, state, format)] as const;
  });
  const others = otherValues(model).map(([name, { shape, data }]) =>
    float32(name, shape, Float32Array.from(data, Number)),
  );
  return {
    layers: Object.fromEntries(each.map(([name, { entry }]) => [name, entry])),
    tensors: [...each.flatMap(([, { tensors }]) => tensors), ...others],
  };
}

/** The model as dense tensors in the layout of torch's `nn.Linear`: `name.weight` [outputs, inputs]. */
export function denseTensors(model: PointModel): TensorToWrite[] {
  const sparse = model.layers.map((layer) =>
    float32(
      `${layer.name}.weight`,
      [layer.outputs, layer.inputs],
      turnedWeight(model.states.get(layer.name)?.weight ?? [], layer.inputs, layer.outputs),
    ),
  );
  const others = otherValues(model).map(([name, { shape, data }]) => {
    const values = Float32Array.from(data, Number);
    const [inputs, outputs] = shape;
    if (!name.endsWith('.weight') || shape.length !== 2 || inputs === undefined || outputs === undefined) {
      return float32(name, shape, values);
    }
    return float32(name, [outputs, inputs], turnedWeight(values, inputs, outputs));
  });
  return [...sparse, ...others];
}
