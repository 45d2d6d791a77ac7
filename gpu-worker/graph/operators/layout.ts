/** Operators that move elements without computing: reshapes, transposes, joins, parts, padding, expansion. */

import { GraphError } from '../errors.ts';
import {
  axisOf,
  broadcastShapes,
  type Dim,
  isStatic,
  type Shape,
  sameShape,
  showShape,
  sizeOf,
  stridesOf,
} from '../shape.ts';
import { type AnyOperator, applyOne, madeBy, type Operator, type Tensor } from '../tensor.ts';
import { add, NONE, type None } from './elementwise.ts';
import { constant, filled, scalarValue } from './leaves.ts';
import { sumOfProduct } from './matmul.ts';
import { broadcastOffset, eachIndex } from './oracle.ts';
import { sum } from './reductions.ts';

/**
 * New sizes for the same elements in the same order. At most one symbol of the new shape may be absent from the old
 * one; it is computed from the element count. References (inputs after the first) lend their symbols.
 */
const Reshape: Operator<{ shape: Shape }, 'many'> = {
  name: 'Reshape',
  infer: ([x, ...references], { shape }) => {
    if (isStatic(x.shape) && isStatic(shape) && sizeOf(x.shape) !== sizeOf(shape)) {
      throw new GraphError('shape_mismatch', `${sizeOf(x.shape)} elements do not fill ${showShape(shape)}`);
    }
    if (isStatic(x.shape) !== isStatic(shape) && isStatic(x.shape)) {
      throw new GraphError('shape_unknown', `a static shape cannot become ${showShape(shape)}`);
    }
    if (inferredAxes([x, ...references], shape).length > 1) {
      throw new GraphError('shape_unknown', `more than one size of ${showShape(shape)} is unknown`);
    }
    return [{ dtype: x.dtype, shape }];
  },
  onnx(emit, [x], { shape }, { inputs }) {
    const inferred = inferredAxes(inputs, shape);
    const simple = shape.map((dim, i) => (typeof dim === 'number' ? dim : dim === inputs[0].shape[i] ? 0 : -1));
    if (simple.filter((dim) => dim === -1).length <= 1) {
      return emit.node('Reshape', [x, emit.int64(simple)]);
    }
    const known = shape.map((dim, i) => (inferred.includes(i) ? -1 : dim));
    return emit.node('Reshape', [x, emit.shape(known)]);
  },
  evaluate: ([x]) => [x.data],
  gradient: ({ inputs: [x, ...references], by: [dy] }) => [reshape(dy, x.shape, x), ...references.map(() => undefined)],
};
/** Axes of the new shape whose symbol no input knows; that one is computed. */
const inferredAxes = (inputs: readonly Tensor[], shape: Shape): number[] => {
  const known = new Set<Dim>(inputs.flatMap((input) => input.shape));
  return shape.flatMap((dim, i) => (typeof dim === 'string' && !known.has(dim) ? [i] : []));
};
/** `x` with other sizes; symbols that `x` lacks are looked up in `reference`. */
export function reshape(x: Tensor, shape: Shape, reference?: Tensor): Tensor {
  if (sameShape(x.shape, shape)) {
    return x;
  }
  const single = scalarValue(x);
  if (single !== undefined) {
    return constant([single], shape as number[], x.dtype);
  }
  const [expanded] = madeBy(Expand, x)?.inputs ?? [];
  if (expanded?.shape.every((dim) => dim === 1)) {
    return expand(reshape(expanded, []), shape, reference ?? x);
  }
  const [reshaped] = madeBy(Reshape, x)?.inputs ?? [];
  if (reshaped && inferredAxes([reshaped], shape).length === 0) {
    return reshape(reshaped, shape);
  }
  const needs = reference && inferredAxes([x], shape).length > 0;
  return applyOne(Reshape, needs ? [x, reference] : [x], { shape });
}
export function unsqueeze(x: Tensor, axis: number): Tensor {
  const at = axisOf(axis, x.rank + 1);
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}
export function squeeze(x: Tensor, axis: number): Tensor {
  const at = axisOf(axis, x.rank);
  if (x.shape[at] !== 1) {
    throw new GraphError('shape_mismatch', `squeeze: axis ${axis} of ${x} has not size 1`);
  }
  return reshape(
    x,
    x.shape.filter((_, i) => i !== at),
  );
}

const Transpose: Operator<{ order: readonly number[] }, 1> = {
  name: 'Transpose',
  infer: ([x], { order }) => {
    if (!isOrder(order, x.rank)) {
      throw new GraphError('argument_invalid', `[${order}] is not an order of the axes of rank ${x.rank}`);
    }
    return [{ dtype: x.dtype, shape: order.map((axis) => x.shape[axis]!) }];
  },
  onnx: (emit, [x], { order }) => emit.node('Transpose', [x], { perm: order }),
  evaluate([x], { order }) {
    const out = new Float64Array(x.data.length);
    const strides = stridesOf(x.shape);
    eachIndex(
      order.map((axis) => x.shape[axis]!),
      (index, flat) => {
        out[flat] = x.data[order.reduce((offset, axis, i) => offset + index[i]! * strides[axis]!, 0)]!;
      },
    );
    return [out];
  },
  gradient: ({ by: [dy], attributes: { order } }) => [
    transpose(
      dy,
      order.map((_, i) => order.indexOf(i)),
    ),
  ],
};
const isOrder = (order: readonly number[], rank: number): boolean =>
  order.length === rank && [...order].sort((a, b) => a - b).every((axis, i) => axis === i);
/** Whether nothing but axes of size 1 change places, so that the elements stay where they are. */
const keepsElements = (x: Tensor, order: readonly number[]): boolean =>
  isOrder(order, x.rank) &&
  order.filter((axis) => x.shape[axis] !== 1).every((axis, i, long) => i === 0 || axis > long[i - 1]!);

/** Axes in another order; by default the last two are exchanged. */
export function transpose(x: Tensor, order?: readonly number[]): Tensor {
  const axes = order ?? [...Array(Math.max(x.rank - 2, 0)).keys(), x.rank - 1, x.rank - 2];
  if (axes.every((axis, i) => axis === i)) {
    return x;
  }
  if (keepsElements(x, axes)) {
    return reshape(
      x,
      axes.map((axis) => x.shape[axis]!),
    );
  }
  const inner = madeBy(Transpose, x);
  if (!inner) {
    return applyOne(Transpose, [x], { order: axes });
  }
  return transpose(
    inner.inputs[0],
    axes.map((axis) => inner.attributes.order[axis]!),
  );
}
/** The input of a transpose that only exchanges the last two axes. */
export function lastTwoExchanged(x: Tensor): Tensor | undefined {
  const turned = madeBy(Transpose, x);
  if (!turned) {
    return undefined;
  }
  const { order } = turned.attributes;
  const swap = order.every((axis, i) => axis === (i < order.length - 2 ? i : 2 * order.length - 3 - i));
  return swap ? turned.inputs[0] : undefined;
}

/** The NumPy broadcast of x to a larger shape. References lend their symbols. */
const Expand: Operator<{ shape: Shape }, 'many'> = {
  name: 'Expand',
  infer: ([x], { shape }) => {
    if (!sameShape(broadcastShapes(x.shape, shape), shape)) {
      throw new GraphError('shape_mismatch', `does not expand to ${showShape(shape)}`);
    }
    return [{ dtype: x.dtype, shape }];
  },
  onnx: (emit, [x], { shape }) => emit.node('Expand', [x, emit.shape(shape)]),
  evaluate([x], _, [output]) {
    const { shape } = output;
    const out = new Float64Array(sizeOf(shape));
    eachIndex(shape, (index, flat) => {
      out[flat] = x.data[broadcastOffset(x, index)]!;
    });
    return [out];
  },
  gradient: ({ inputs: [x, ...references], by: [dy] }) => [sumTo(dy, x), ...references.map(() => undefined)],
};
/** `x` broadcast to `shape`; symbols that `x` lacks are looked up in `reference`. */
export function expand(x: Tensor, shape: Shape, reference?: Tensor): Tensor {
  if (sameShape(x.shape, shape)) {
    return x;
  }
  return applyOne(Expand, reference && !isStatic(shape) ? [x, reference] : [x], { shape });
}
export const expandLike = (x: Tensor, reference: Tensor): Tensor => expand(x, reference.shape, reference);
/** What was expanded to give `x`, if broadcasting with `other` brings back the same shape without the expansion. */
export function expandSource(x: Tensor, other: Tensor): Tensor {
  const [source] = madeBy(Expand, x)?.inputs ?? [];
  if (!source) {
    return x;
  }
  return sameShape(broadcastShapes(x.shape, other.shape), broadcastShapes(source.shape, other.shape)) ? source : x;
}
/** The sum of `x` over the axes that broadcasting `like` to the shape of `x` repeated. */
export function sumTo(x: Tensor, like: Tensor): Tensor {
  if (sameShape(x.shape, like.shape)) {
    return x;
  }
  const lead = x.rank - like.rank;
  const early = sumOfProduct(x, like);
  if (early) {
    return early;
  }
  const axes = x.shape.flatMap((dim, i) => (i < lead || (like.shape[i - lead] === 1 && dim !== 1) ? [i] : []));
  return reshape(sum(x, axes, true), like.shape, like);
}

/** Zeros with the type and shape of `x`. */
export const zerosLike = (x: Tensor): Tensor =>
  isStatic(x.shape) ? filled(x.shape, 0, x.dtype) : expandLike(filled([], 0, x.dtype), x);

/** The sum of one or more tensors of equal shape. */
export const addAll = (terms: readonly Tensor[]): Tensor => terms.reduce((sum, term) => add(sum, term));

/** The value itself, with no gradient through it. */
const StopGradient: Operator<None, 1> = {
  name: 'StopGradient',
  infer: ([x]) => [{ dtype: x.dtype, shape: x.shape }],
  onnx: (_, [x]) => [x],
  evaluate: ([x]) => [x.data],
};
export const stopGradient = (x: Tensor): Tensor => applyOne(StopGradient, [x], NONE);

export const layout: readonly AnyOperator[] = [Reshape, Transpose, Expand, StopGradient];
