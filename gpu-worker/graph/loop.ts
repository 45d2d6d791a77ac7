/**
 * Step programs: state goes in, one or more steps are computed, new state comes out. Compiled either as an ONNX `Loop`
 * over many steps, whose carried state never leaves the device, or as a single step for providers without `Loop`.
 */
import { encodeModel, type OnnxGraph } from '../onnx/model.ts';
import { onnxValue, type Port, type Program, portOf } from './compile.ts';
import { GraphWriter, namedLeaves } from './emit.ts';
import { GraphError } from './errors.ts';
import { nameOf } from './operators/leaves.ts';
import type { Target, Tensor } from './tensor.ts';

export type StepSpec = {
  name: string;
  /** Inputs or parameters that change from step to step, each with its next value. */
  carried: readonly { leaf: Tensor; next: Tensor }[];
  /** Inputs that have another value at each step; the loop takes them with a leading axis of steps. */
  perStep: readonly Tensor[];
  /** Inputs and parameters that keep one value. */
  shared: readonly Tensor[];
  /** Values to be returned for each step. */
  collected: Readonly<Record<string, Tensor>>;
};

export const STEPS = 'steps';
/** Name of the output that holds the next value of a carried input. */
export const nextName = (name: string): string => `${name}.next`;

function check(spec: StepSpec): void {
  const given = new Set([...spec.carried.map(({ leaf }) => leaf), ...spec.perStep, ...spec.shared]);
  const outputs = [...spec.carried.map(({ next }) => next), ...Object.values(spec.collected)];
  for (const leaf of namedLeaves([...outputs, ...given])) {
    if (!given.has(leaf)) {
      throw new GraphError('feed_missing', `${spec.name}: '${nameOf(leaf)}' is neither state nor input`);
    }
  }
  for (const { leaf, next } of spec.carried) {
    if (String(leaf) !== String(next)) {
      throw new GraphError('shape_mismatch', `${spec.name}: '${nameOf(leaf)}' is ${leaf}, its next value ${next}`);
    }
  }
}

const port = (tensor: Tensor): Port => portOf(nameOf(tensor), tensor);
const stacked = ({ name, dtype, shape }: Port): Port => ({ name, dtype, shape: [STEPS, ...shape] });

/** One step: feeds are the leaves by name, outputs `<name>.next` and the collected values. */
export function compileStep(spec: StepSpec, target: Target): Program {
  check(spec);
  const writer = new GraphWriter(target, '_');
  const inputs = [...spec.carried.map(({ leaf }) => leaf), ...spec.perStep, ...spec.shared];
  for (const leaf of inputs) {
    writer.bind(leaf, nameOf(leaf));
  }
  const wanted = [
    ...spec.carried.map(({ leaf, next }) => [nextName(nameOf(leaf)), next] as const),
    ...Object.entries(spec.collected),
  ];
  writer.write(wanted.map(([, tensor]) => tensor));
  const nodes = writer.publish(wanted.map(([name, tensor]) => ({ name, value: writer.valueName(tensor) })));
  const ports = { inputs: inputs.map(port), outputs: wanted.map(([name, tensor]) => portOf(name, tensor)) };
  return finish(spec, target, ports, { nodes, initializers: writer.initializers }, nodes.length, writer.weightFiles());
}

/**
 * Any number of steps: the extra input `steps` (int64 scalar) says how many; per-step inputs and collected outputs have
 * a leading axis of that size.
 */
export function compileLoop(spec: StepSpec, target: Target): Program {
  check(spec);
  const body = new GraphWriter(target, '_');
  for (const leaf of spec.shared) {
    body.bind(leaf, nameOf(leaf));
  }
  for (const { leaf } of spec.carried) {
    body.bind(leaf, `${nameOf(leaf)}.now`);
  }
  for (const leaf of spec.perStep) {
    body.bind(leaf, body.node('Gather', [nameOf(leaf), 'iteration'], { axis: 0 })[0]);
  }
  const carried = spec.carried.map(({ leaf, next }) => ({ port: port(leaf), next }));
  const collected = Object.entries(spec.collected).map(([name, tensor]) => ({
    port: portOf(name, tensor),
    next: tensor,
  }));
  const results = [
    ...carried.map(({ port, next }) => ({ port: { ...port, name: nextName(port.name) }, next })),
    ...collected,
  ];
  body.write(results.map(({ next }) => next));
  const inner = (name: string) => `${name}.out`;
  const nodes = body.publish(
    results.map(({ port, next }) => ({ name: inner(port.name), value: body.valueName(next) })),
  );
  const condition = { name: 'continue', dtype: 'bool', shape: [] } as const;
  const bodyGraph: OnnxGraph = {
    name: `${spec.name}.step`,
    nodes: [...nodes, { type: 'Identity', inputs: [condition.name], outputs: ['continue.out'] }],
    inputs: [
      { name: 'iteration', dtype: 'int64' as const, shape: [] },
      condition,
      ...carried.map(({ port }) => ({ ...port, name: `${port.name}.now` })),
    ].map(onnxValue),
    outputs: [
      { ...condition, name: 'continue.out' },
      ...results.map(({ port }) => ({ ...port, name: inner(port.name) })),
    ].map(onnxValue),
    // Weights in files belong to the outer graph, where the runtime resolves them.
    initializers: body.initializers.filter(({ data }) => 'raw' in data),
  };
  const loop = {
    type: 'Loop',
    inputs: [STEPS, '', ...carried.map(({ port }) => port.name)],
    outputs: results.map(({ port }) => port.name),
    attributes: { body: { graph: bodyGraph } },
  };
  const ports = {
    inputs: [
      { name: STEPS, dtype: 'int64' as const, shape: [] },
      ...carried.map(({ port }) => port),
      ...spec.perStep.map((leaf) => stacked(port(leaf))),
      ...spec.shared.map(port),
    ],
    outputs: results.map(({ port }, i) => (i < carried.length ? port : stacked(port))),
  };
  const initializers = body.initializers.filter(({ data }) => 'external' in data);
  return finish(spec, target, ports, { nodes: [loop], initializers }, nodes.length, body.weightFiles());
}

function finish(
  { name }: StepSpec,
  target: Target,
  { inputs, outputs }: { inputs: Port[]; outputs: Port[] },
  graph: Pick<OnnxGraph, 'nodes' | 'initializers'>,
  nodes: number,
  weightFiles: string[],
): Program {
  const bytes = encodeModel({ name, ...graph, inputs: inputs.map(onnxValue), outputs: outputs.map(onnxValue) });
  return { name, bytes, inputs, outputs, target, nodes, weightFiles };
}
