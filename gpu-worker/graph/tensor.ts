/**
 * Symbolic tensors. A graph is not an object of its own: a tensor knows the node that produces it, a node its inputs,
 * and whatever is reachable from the wanted outputs is the program.
 */
import type { OnnxAttribute, OnnxGraph } from '../onnx/model.ts';
import type { DType } from './dtype.ts';
import { callerLine, GraphError } from './errors.ts';
import { checkShape, type Shape, showShape } from './shape.ts';

type TensorType = { dtype: DType; shape: Shape };

/** A concrete tensor of the reference evaluator: every element type is held in float64. */
export type Dense = { shape: readonly number[]; data: Float64Array };

/** What an operator's ONNX form may use to write nodes; returned strings are value names. */
export type Emitter = {
  /** The execution provider that the program is compiled for. */
  readonly target: Target;
  node(
    type: string,
    inputs: readonly string[],
    attributes?: Record<string, OnnxAttribute>,
    options?: { domain?: string; outputs?: number },
  ): string[];
  /** A small int64 vector constant (axes, shapes), or a scalar when given a number. */
  int64(values: readonly number[] | number): string;
  /** A scalar constant. */
  scalar(value: number, dtype: DType): string;
  /** An int64 vector holding `shape`; sizes that are symbols are read from the inputs of the node being written. */
  shape(shape: Shape): string;
  /** Whether anything that is written needs this output of the node being written. */
  needs(output: Tensor): boolean;
  /** Writes a graph over leaves of its own, which the values of `leaves` stand for; returns the names of its outputs. */
  inline(outputs: readonly Tensor[], leaves: ReadonlyMap<Tensor, string>): string[];
  /** A graph to be run many times by a control-flow node, over leaves of its own. */
  subgraph(name: string, body: Subgraph): OnnxGraph;
};
export type Subgraph = {
  /** Outputs that are added to what the runs before gave: the first inputs and outputs. */
  carried: readonly Tensor[];
  /** Leaves that get another value in each run: the inputs that follow. */
  given: readonly Tensor[];
  /** Leaves that stand for values of the surrounding graph. */
  outer: ReadonlyMap<Tensor, string>;
  /** Outputs that each run has for itself, after the carried ones. */
  results: readonly Tensor[];
};
export type Target = 'cpu' | 'webgpu' | 'cuda';

type GradientContext<A> = {
  inputs: readonly Tensor[];
  outputs: readonly Tensor[];
  /** Gradient of the loss by each output; `undefined` where nothing depends on that output. */
  by: readonly (Tensor | undefined)[];
  attributes: A;
};

/**
 * One operator: its shape rule, its ONNX form, its value (a naive float64 oracle) and its gradient, side by side.
 * `gradient` is absent where the operator passes none (comparisons, indices); entry i of its answer belongs to input i.
 */
export type Operator<A = unknown> = {
  name: string;
  infer(inputs: readonly Tensor[], attributes: A): TensorType[];
  onnx(emit: Emitter, inputs: readonly string[], attributes: A, node: Node<A>): string[];
  evaluate(
    inputs: readonly Dense[],
    attributes: A,
    outputs: readonly { shape: readonly number[]; dtype: DType }[],
  ): Float64Array[];
  gradient?(context: GradientContext<A>): (Tensor | undefined)[];
  /** Results of a graph that the operator runs inside itself, one run at a time. */
  inside?(attributes: A): readonly Tensor[];
};

export class Node<A = unknown> {
  readonly operator: Operator<A>;
  readonly inputs: readonly Tensor[];
  readonly attributes: A;
  readonly outputs: readonly Tensor[];

  constructor(operator: Operator<A>, inputs: readonly Tensor[], attributes: A, types: readonly TensorType[]) {
    this.operator = operator;
    this.inputs = inputs;
    this.attributes = attributes;
    this.outputs = types.map((type, index) => new Tensor(this as Node, index, type));
  }
}

export class Tensor {
  readonly node: Node;
  readonly index: number;
  readonly dtype: DType;
  readonly shape: Shape;

  constructor(node: Node, index: number, { dtype, shape }: TensorType) {
    this.node = node;
    this.index = index;
    this.dtype = dtype;
    this.shape = shape;
  }

  get rank(): number {
    return this.shape.length;
  }

  toString(): string {
    return `${this.dtype}${showShape(this.shape)}`;
  }
}

/**
 * Applies an operator. Errors of its shape rule are completed with the operator's name, the input shapes and the
 * caller's file and line.
 */
export function apply<A>(operator: Operator<A>, inputs: readonly Tensor[], attributes: A): readonly Tensor[] {
  try {
    const types = operator.infer(inputs, attributes);
    for (const { shape } of types) checkShape(shape);
    return new Node(operator, inputs, attributes, types).outputs;
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    const given = inputs.map(String).join(', ');
    throw new GraphError(error.code, `${operator.name}(${given}): ${error.message} at ${callerLine()}`);
  }
}

/** `apply` for operators with one output. */
export const applyOne = <A>(operator: Operator<A>, inputs: readonly Tensor[], attributes: A): Tensor =>
  apply(operator, inputs, attributes)[0]!;

/** Requires equal element types and returns it. */
export function commonDType(inputs: readonly Tensor[]): DType {
  const dtype = inputs[0]!.dtype;
  for (const input of inputs) {
    if (input.dtype !== dtype) {
      throw new GraphError('dtype_mismatch', `element types ${dtype} and ${input.dtype} differ; cast one of them`);
    }
  }
  return dtype;
}

/** Requires one of the given element types. */
export function requireDType(input: Tensor, allowed: readonly DType[], what: string): void {
  if (!allowed.includes(input.dtype)) {
    throw new GraphError('dtype_mismatch', `${what} must be ${allowed.join(' or ')}, got ${input.dtype}`);
  }
}
