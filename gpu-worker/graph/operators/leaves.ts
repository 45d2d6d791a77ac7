/** Where graphs begin: inputs, parameters, constants and weights that lie in files. */
import type { RandomStream } from '../../../shared/math/random.ts';
import type { ExternalData } from '../../onnx/model.ts';
import { type DType, type HostArray, hostArray } from '../dtype.ts';
import { callerLine, GraphError } from '../errors.ts';
import { checkShape, isStatic, type Shape, showShape, sizeOf } from '../shape.ts';
import { type AnyOperator, applyOne, madeBy, type Operator, type Tensor } from '../tensor.ts';

const unreachable = (): never => {
  throw new Error('leaves are written by the compiler and bound by the evaluator');
};
const leaf = <A extends { dtype: DType; shape: Shape }>(name: string): Operator<A, 0> => ({
  name,
  infer: (_, { dtype, shape }) => [{ dtype, shape }],
  onnx: unreachable,
  evaluate: unreachable,
});

type InputAttributes = { name: string; dtype: DType; shape: Shape };
export type ParameterAttributes = InputAttributes & { initial?: Initialiser };
export type ConstantAttributes = { dtype: DType; shape: readonly number[]; data: HostArray };
export type ExternalAttributes = { dtype: DType; shape: readonly number[]; data: ExternalData };

/** Fills a new parameter: row-major values for `shape`; `random` is a stream that belongs to this parameter. */
export type Initialiser = (shape: readonly number[], random: RandomStream) => ArrayLike<number>;

export const Input: Operator<InputAttributes, 0> = leaf('input');
export const Parameter: Operator<ParameterAttributes, 0> = leaf('parameter');
export const Constant: Operator<ConstantAttributes, 0> = leaf('constant');
export const External: Operator<ExternalAttributes, 0> = leaf('external');

/** A value fed at every run. Sizes may be symbols. */
export const input = (name: string, shape: Shape, dtype: DType = 'float32'): Tensor =>
  applyOne(Input, [], { name, dtype, shape });

/**
 * A value that training changes. In a program without training it is fed like an input. `initial` fills it when a
 * trainer starts without given values (see `nn/initialisers.ts`).
 */
export const parameter = (name: string, shape: Shape, initial?: Initialiser, dtype: DType = 'float32'): Tensor =>
  applyOne(Parameter, [], initial ? { name, dtype, shape, initial } : { name, dtype, shape });

/** A value stored in the program itself. */
export function constant(
  values: ArrayLike<number | bigint>,
  shape: readonly number[],
  dtype: DType = 'float32',
): Tensor {
  checkShape(shape);
  if (values.length !== sizeOf(shape)) {
    const message = `constant: ${values.length} values do not fill ${showShape(shape)} at ${callerLine()}`;
    throw new GraphError('shape_mismatch', message);
  }
  return applyOne(Constant, [], { dtype, shape, data: hostArray(dtype, values) });
}

/** A scalar constant. */
export const scalar = (value: number, dtype: DType = 'float32'): Tensor => constant([value], [], dtype);

/** A tensor of zeros or another value, without storing each element; the shape must be static. */
export function filled(shape: Shape, value: number, dtype: DType = 'float32'): Tensor {
  if (!isStatic(shape)) {
    throw new GraphError('shape_unknown', `filled needs static sizes, got ${showShape(shape)}; use expandLike`);
  }
  return applyOne(Filled, [], { shape, value, dtype });
}

const Filled: Operator<{ shape: readonly number[]; value: number; dtype: DType }, 0> = {
  name: 'filled',
  infer: (_, { dtype, shape }) => [{ dtype, shape }],
  onnx: (emit, _, { shape, value, dtype }) =>
    shape.length === 0
      ? [emit.scalar(value, dtype)]
      : emit.node('Expand', [emit.scalar(value, dtype), emit.int64(shape)]),
  evaluate: (_, { shape, value }) => [new Float64Array(sizeOf(shape)).fill(value)],
};

/**
 * A weight that stays where it is: `length` bytes at `offset` of a file inside the program's weights folder, row-major
 * little-endian elements (exactly a safetensors tensor). 16-bit floats are allowed; cast them to compute.
 */
export const external = (data: ExternalData, shape: readonly number[], dtype: DType): Tensor =>
  applyOne(External, [], { dtype, shape, data });

export const isLeaf = (tensor: Tensor): boolean =>
  ([Input, Parameter, Constant, External] as readonly AnyOperator[]).includes(tensor.node.operator);
export const isNamed = (tensor: Tensor): boolean =>
  ([Input, Parameter] as readonly AnyOperator[]).includes(tensor.node.operator);

/** The name of an input or a parameter. */
export const nameOf = (tensor: Tensor): string => (tensor.node.attributes as InputAttributes).name;

/** The value of a constant with one element, for simplifications. */
export function scalarValue(tensor: Tensor): number | undefined {
  const data = madeBy(Constant, tensor)?.attributes.data;
  return data?.length === 1 ? Number(data[0]) : undefined;
}

export const leaves: readonly AnyOperator[] = [Filled];
