/** Symbolic sizes as values, and other names for them. */
import { GraphError } from '../errors.ts';
import { axisOf, type Dim, type Shape, showShape } from '../shape.ts';
import { type AnyOperator, applyOne, type Operator, type Tensor } from '../tensor.ts';

/** The size of one axis as an int64 scalar, for symbolic sizes. No gradient. */
const Size: Operator<{ axis: number }, 1> = {
  name: 'Size',
  infer: () => [{ dtype: 'int64', shape: [] }],
  onnx: (emit, [x], { axis }) => {
    const [size] = emit.node('Shape', [x], { start: axis, end: axis + 1 });
    return emit.node('Reshape', [size, emit.int64([])]);
  },
  evaluate: ([x], { axis }) => [Float64Array.of(x.shape[axis]!)],
};
export const sizeAlong = (x: Tensor, axis: number): Tensor => applyOne(Size, [x], { axis: axisOf(axis, x.rank) });

/** The integers 0, 1, ... as int64[dim]. No gradient. */
const Range: Operator<{ dim: Dim }, 1> = {
  name: 'Range',
  infer: (_, { dim }) => [{ dtype: 'int64', shape: [dim] }],
  onnx: (emit, [limit]) => emit.node('Range', [emit.int64(0), limit, emit.int64(1)]),
  evaluate: ([limit]) => [Float64Array.from({ length: limit.data[0]! }, (_, i) => i)],
};
/** 0, 1, ... as int64, as many as axis `axis` of `x` is long (its symbol is the new size). */
export const positionsAlong = (x: Tensor, axis: number): Tensor =>
  applyOne(Range, [sizeAlong(x, axis)], { dim: x.shape[axisOf(axis, x.rank)]! });

/** States a symbolic shape under other names; checked when the program runs. */
const Rename: Operator<{ shape: Shape }, 1> = {
  name: 'Rename',
  infer: ([x], { shape }) => {
    if (x.rank !== shape.length || x.shape.some((dim, i) => typeof dim === 'number' && dim !== shape[i])) {
      throw new GraphError('shape_mismatch', `cannot be called ${showShape(shape)}`);
    }
    return [{ dtype: x.dtype, shape }];
  },
  onnx: (emit, [x]) => emit.node('Identity', [x]),
  evaluate: ([x]) => [x.data],
  gradient: ({ inputs: [x], by: [dy] }) => [applyOne(Rename, [dy], { shape: x.shape })],
};
/** The same tensor with its symbolic sizes called otherwise, for example 'past+seq' as 'total'. */
export const renamed = (x: Tensor, shape: Shape): Tensor => applyOne(Rename, [x], { shape });

export const sizes: readonly AnyOperator[] = [Size, Range, Rename];
