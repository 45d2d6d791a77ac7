/** From symbolic outputs to an ONNX program. */
import { encodeModel, type OnnxValue } from '../onnx/model.ts';
import type { DType } from './dtype.ts';
import { GraphWriter, namedLeaves } from './emit.ts';
import { nameOf } from './operators/leaves.ts';
import type { Shape } from './shape.ts';
import type { Target, Tensor } from './tensor.ts';

export type Port = { name: string; dtype: DType; shape: Shape };

/** A compiled program: ONNX bytes and what goes in and out. */
export type Program = {
  name: string;
  bytes: Uint8Array;
  inputs: readonly Port[];
  outputs: readonly Port[];
  target: Target;
  /** Number of ONNX nodes, those of a loop's body included. */
  nodes: number;
  /** Files that hold weights, relative to the session's weights folder; empty for most programs. */
  weightFiles: readonly string[];
};

export const portOf = (name: string, { dtype, shape }: Tensor): Port => ({ name, dtype, shape });
export const onnxValue = ({ name, dtype, shape }: Port): OnnxValue => ({ name, type: dtype, shape });

/**
 * Compiles named outputs. Inputs and parameters that they depend on become the program's inputs; all else is left out.
 * `inputs` may name them in a wanted order (unused ones are an error only if missing from the graph).
 */
export function compile(
  outputs: Readonly<Record<string, Tensor>>,
  { name = 'program', target = 'cpu' }: { name?: string; target?: Target } = {},
): Program {
  const wanted = Object.entries(outputs);
  const writer = new GraphWriter(target, '_');
  const inputs = namedLeaves(wanted.map(([, tensor]) => tensor)).map((tensor) => {
    writer.bind(tensor, nameOf(tensor));
    return portOf(nameOf(tensor), tensor);
  });
  writer.write(wanted.map(([, tensor]) => tensor));
  // An output may have the name of an input; inside the program it then needs another one.
  const taken = new Set(inputs.map((port) => port.name));
  const named = wanted.map(([key, tensor]) => ({ name: taken.has(key) ? `${key}.next` : key, tensor }));
  const ports = named.map(({ name, tensor }) => portOf(name, tensor));
  const nodes = writer.publish(named.map(({ name, tensor }) => ({ name, value: writer.valueName(tensor) })));
  const bytes = encodeModel({
    name,
    nodes,
    inputs: inputs.map(onnxValue),
    outputs: ports.map(onnxValue),
    initializers: writer.initializers,
  });
  return { name, bytes, inputs, outputs: ports, target, nodes: nodes.length, weightFiles: writer.weightFiles() };
}
