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

/** How many inputs or outputs an operator has; `many` is one or more, `number` as many as its attributes say. */
type Arity = number | 'many';
/** As many T as an arity says. */
export type Several<T, N extends Arity> = N extends 'many'
  ? readonly [T, ...T[]]
  : number extends N
    ? readonly T[]
    : N extends 0
      ? readonly []
      : N extends 1
        ? readonly [T]
        : N extends 2
          ? readonly [T, T]
          : N extends 3
            ? readonly [T, T, T]
            : readonly [T, T, T, T];

/** What an operator's ONNX form may use to write nodes; returned strings are value names. */
export type Emitter = {
  /** The execution provider that the program is compiled for. */
  readonly target: Target;
  node<Out extends number = 1>(
    type: string,
    inputs: readonly string[],
    attributes?: Record<string, OnnxAttribute>,
    options?: { domain?: string; outputs?: Out },
  ): Several<string, Out>;
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

/**
 * One operator of `In` inputs and `Out` outputs (one unless stated): its shape rule, its ONNX form, its value (a naive
 * float64 oracle) and its gradient, side by side. `gradient` is absent where the operator passes none (comparisons,
 * indices); entry i of its answer belongs to input i.
 */
export type Operator<A, In extends Arity, Out extends Arity = 1> = {
  name: string;
  infer(inputs: Several<Tensor, In>, attributes: A): Several<TensorType, Out>;
  onnx(
    emit: Emitter,
    names: Several<string, In>,
    attributes: A,
    node: { inputs: Several<Tensor, In>; outputs: Several<Tensor, Out> },
  ): Several<string, Out>;
  evaluate(
    inputs: Several<Dense, In>,
    attributes: A,
    outputs: Several<{ shape: readonly number[]; dtype: DType }, Out>,
  ): Several<Float64Array, Out>;
  gradient?(context: {
    inputs: Several<Tensor, In>;
    outputs: Several<Tensor, Out>;
    /** Gradient of the loss by each output; of several outputs, `undefined` where nothing depends on that one. */
    by: Out extends 1 ? readonly [Tensor] : Several<Tensor | undefined, Out>;
    attributes: A;
  }): readonly (Tensor | undefined)[];
  /** Results of a graph that the operator runs inside itself, one run at a time. */
  inside?(attributes: A): readonly Tensor[];
};
/** An operator of which neither arity nor attributes are known: what a node and the list of operators hold. */
export type AnyOperator = {
  name: string;
  infer(inputs: readonly Tensor[], attributes: unknown): readonly TensorType[];
  onnx(
    emit: Emitter,
    names: readonly string[],
    attributes: unknown,
    node: { inputs: readonly Tensor[]; outputs: readonly Tensor[] },
  ): readonly string[];
  evaluate(
    inputs: readonly Dense[],
    attributes: unknown,
    outputs: readonly { shape: readonly number[]; dtype: DType }[],
  ): readonly Float64Array[];
  gradient?(context: {
    inputs: readonly Tensor[];
    outputs: readonly Tensor[];
    by: readonly (Tensor | undefined)[];
    attributes: unknown;
  }): readonly (Tensor | undefined)[];
  inside?(attributes: unknown): readonly Tensor[];
};

export class Node {
  readonly operator: AnyOperator;
  readonly inputs: readonly Tensor[];
  readonly attributes: unknown;
  readonly outputs: Several<Tensor, 'many'>;

  constructor(
    operator: AnyOperator,
    inputs: readonly Tensor[],
    attributes: unknown,
    [first, ...others]: Several<TensorType, 'many'>,
  ) {
    this.operator = operator;
    this.inputs = inputs;
    this.attributes = attributes;
    this.outputs = [new Tensor(this, 0, first), ...others.map((type, i) => new Tensor(this, i + 1, type))];
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
export function apply<A, In extends Arity, Out extends Arity>(
  operator: Operator<A, In, Out>,
  inputs: Several<Tensor, In>,
  attributes: A,
): Several<Tensor, Out> {
  try {
    const types = operator.infer(inputs, attributes);
    for (const { shape } of types as readonly TensorType[]) {
      checkShape(shape);
    }
    // A node knows neither its arity nor its attributes' type; it has as many outputs as its shape rule gave types.
    const node = new Node(operator as unknown as AnyOperator, inputs, attributes, types as Several<TensorType, 'many'>);
    return node.outputs as readonly Tensor[] as Several<Tensor, Out>;
  } catch (error) {
    if (!(error instanceof GraphError)) {
      throw error;
    }
    const given = inputs.map(String).join(', ');
    throw new GraphError(error.code, `${operator.name}(${given}): ${error.message} at ${callerLine()}`);
  }
}

/** `apply` for operators with one output. */
export const applyOne = <A, In extends Arity>(
  operator: Operator<A, In, 1>,
  inputs: Several<Tensor, In>,
  attributes: A,
): Tensor => apply(operator, inputs, attributes)[0];

/** Inputs and attributes of the node that gives `x`, where it is of this operator. */
export const madeBy = <A, In extends Arity, Out extends Arity>(
  operator: Operator<A, In, Out>,
  { node }: Tensor,
): { inputs: Several<Tensor, In>; attributes: A } | undefined =>
  (node.operator as unknown) === operator
    ? { inputs: node.inputs as Several<Tensor, In>, attributes: node.attributes as A }
    : undefined;

/** Requires equal element types and returns it. */
export function commonDType(inputs: Several<Tensor, 'many'>): DType {
  const dtype = inputs[0].dtype;
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
