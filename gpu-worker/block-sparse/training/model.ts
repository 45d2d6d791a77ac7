/** A network with a method for its linear layers: which layers take part, its outputs, its loss. */
import * as g from '../../graph/index.ts';
import { zeros } from '../../nn/index.ts';
import { denseWeightOf } from '../methods/dense.ts';
import type { LinearLayer, Method } from '../methods/method.ts';
import { type ImageSize, type NetworkSpec, networkOutput } from '../networks/network.ts';
import { divides, gridOf, type Tile } from '../tiles/tiles.ts';
import type { Task } from './samples.ts';

export type ModelSpec = { network: NetworkSpec; inputs: number; task: Task; image?: ImageSize };
/** The layers that take part and how they are made; `gain` is the deviation of the other layers' weights at the start. */
export type MadeModel = { method: Method; layers: readonly LinearLayer[]; gain: number };
/** A linear layer, and the rows that it is applied to for one row of the model's input. */
export type LinearShape = { name: string; inputs: number; outputs: number; rows: number };

/** The model's linear layers in the order of computation. */
export function linearShapes(spec: ModelSpec): LinearShape[] {
  const found: LinearShape[] = [];
  networkOutput(spec.network, g.input('x', [1, spec.inputs]), sizes(spec), (name, x, outputs) => {
    const inputs = x.shape.at(-1) as number;
    const rows = x.shape.slice(0, -1).reduce<number>((product, size) => product * (size as number), 1);
    found.push({ name, inputs, outputs, rows });
    return g.matmul(x, g.parameter(name, [inputs, outputs]));
  });
  return found;
}

/** The layers that a tile divides; all others stay dense. */
export const sparseLayers = (shapes: readonly LinearShape[], tile: Tile): LinearLayer[] =>
  shapes
    .filter(({ inputs, outputs }) => divides(inputs, outputs, tile))
    .map((shape) => ({ ...shape, grid: gridOf(shape.inputs, shape.outputs, tile) }));

const sizes = ({ task, image }: ModelSpec) => ({ outputs: task.outputs, ...(image && { image }) });

/** Outputs for x [rows, inputs]; the layers in `layers` are made by the method, others are dense. */
export function modelOutput(spec: ModelSpec, x: g.Tensor, { method, layers, gain }: MadeModel): g.Tensor {
  return networkOutput(spec.network, x, sizes(spec), (name, input, outputs) => {
    const inputs = input.shape.at(-1) as number;
    const layer = layers.find((other) => other.name === name);
    const y = layer ? method.product(layer, input) : g.matmul(input, denseWeightOf({ name, inputs, outputs }, gain));
    return g.add(y, g.parameter(`${name}.bias`, [outputs], zeros));
  });
}

/** The mean loss over a batch: cross-entropy in nats of the input `class`, or the squared error over all of `value`. */
export function modelLoss(task: Task, outputs: g.Tensor): g.Tensor {
  const rows = outputs.shape[0]!;
  if (task.kind === 'classes') {
    return g.crossEntropy(outputs, g.input('class', [rows], 'int64'));
  }
  return g.meanSquaredError(outputs, g.input('value', [rows, task.outputs]));
}
