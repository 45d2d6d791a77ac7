/** Operators that join tensors and take or surround parts of them. */
import { GraphError } from '../errors.ts';
import { addDims, axisOf, sizeOf, staticShape, stridesOf } from '../shape.ts';
import { type AnyOperator, applyOne, commonDType, type Operator, type Tensor } from '../tensor.ts';
import { reshape, unsqueeze } from './layout.ts';
import { eachIndex } from './oracle.ts';

const Concat: Operator<{ axis: number }, 'many'> = {
  name: 'Concat',
  infer: (inputs, { axis }) => {
    const [first] = inputs;
    for (const other of inputs) {
      if (other.rank !== first.rank || other.shape.some((dim, i) => i !== axis && dim !== first.shape[i])) {
        throw new GraphError('shape_mismatch', `sizes other than axis ${axis} must agree`);
      }
    }
    const joined = addDims(inputs.map((input) => input.shape[axis]!));
    return [{ dtype: commonDType(inputs), shape: first.shape.map((dim, i) => (i === axis ? joined : dim)) }];
  },
  onnx: (emit, inputs, { axis }) => emit.node('Concat', inputs, { axis }),
  evaluate(inputs, { axis }) {
    const inner = sizeOf(inputs[0].shape.slice(axis + 1));
    const outer = sizeOf(inputs[0].shape.slice(0, axis));
    const out: number[] = [];
    for (let o = 0; o < outer; o++) {
      for (const { shape, data } of inputs) {
        const width = shape[axis]! * inner;
        for (let i = 0; i < width; i++) {
          out.push(data[o * width + i]!);
        }
      }
    }
    return [Float64Array.from(out)];
  },
  gradient({ inputs, by: [dy], attributes: { axis } }) {
    const sizes = staticShape(
      inputs.map((input) => input.shape[axis]!),
      'the gradient of Concat',
    );
    return split(dy, sizes, axis);
  },
};
/** Tensors joined along an axis. */
export function concat(inputs: readonly Tensor[], axis = -1): Tensor {
  const [first, ...rest] = inputs;
  if (!first) {
    throw new GraphError('argument_invalid', 'concat needs a tensor');
  }
  return rest.length === 0 ? first : applyOne(Concat, [first, ...rest], { axis: axisOf(axis, first.rank) });
}

/** `length` positions from `start` along an axis, `step` apart. */
const Slice: Operator<{ axis: number; start: number; length: number; step: number }, 1> = {
  name: 'Slice',
  infer: ([x], { axis, start, length, step }) => {
    const size = x.shape[axis]!;
    const last = start + (length - 1) * step;
    if (start < 0 || length < 1 || step < 1 || (typeof size === 'number' && last >= size)) {
      throw new GraphError(
        'argument_invalid',
        `positions ${start}..${last} by ${step} are outside axis ${axis} of size ${size}`,
      );
    }
    return [{ dtype: x.dtype, shape: x.shape.map((dim, i) => (i === axis ? length : dim)) }];
  },
  onnx(emit, [x], { axis, start, length, step }) {
    const end = start + (length - 1) * step + 1;
    return emit.node('Slice', [x, emit.int64([start]), emit.int64([end]), emit.int64([axis]), emit.int64([step])]);
  },
  evaluate([x], { axis, start, length, step }) {
    const shape = x.shape.map((dim, i) => (i === axis ? length : dim));
    const out = new Float64Array(sizeOf(shape));
    const strides = stridesOf(x.shape);
    eachIndex(shape, (index, flat) => {
      const at = index.reduce((sum, i, k) => sum + (k === axis ? start + i * step : i) * strides[k]!, 0);
      out[flat] = x.data[at]!;
    });
    return [out];
  },
  gradient({ inputs: [x], by: [dy], attributes: { axis, start, length, step } }) {
    const [size] = staticShape([x.shape[axis]!], 'the gradient of Slice');
    const spread = step === 1 ? dy : spreadOut(dy, axis, step);
    const covered = step === 1 ? length : length * step;
    if (start + covered <= size) {
      return [pad(spread, axis, start, size - start - covered)];
    }
    return [slice(pad(spread, axis, start, 0), axis, 0, size)];
  },
};
/** Positions `start` to `end` (exclusive) along an axis; negative positions count from a static end. */
export function slice(x: Tensor, axis: number, start: number, end?: number, step = 1): Tensor {
  const at = axisOf(axis, x.rank);
  const size = x.shape[at]!;
  const fromEnd = (position: number) => (position < 0 && typeof size === 'number' ? position + size : position);
  if (end === undefined && typeof size === 'string') {
    throw new GraphError('shape_unknown', `slice needs an end along the symbolic axis '${size}'`);
  }
  const [first, last] = [fromEnd(start), fromEnd(end ?? (size as number))];
  if (first === 0 && last === size && step === 1) {
    return x;
  }
  return applyOne(Slice, [x], { axis: at, start: first, length: Math.ceil((last - first) / step), step });
}
/** Elements `step` apart with zeros between. */
function spreadOut(x: Tensor, axis: number, step: number): Tensor {
  const padded = pad(unsqueeze(x, axis + 1), axis + 1, 0, step - 1);
  return reshape(
    padded,
    x.shape.map((dim, i) => (i === axis ? (dim as number) * step : dim)),
  );
}
/** Parts of the given sizes along an axis. */
export function split(x: Tensor, sizes: readonly number[], axis = -1): Tensor[] {
  const at = axisOf(axis, x.rank);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total !== x.shape[at]) {
    throw new GraphError('shape_mismatch', `split: sizes [${sizes}] do not add up to axis ${axis} of ${x}`);
  }
  let start = 0;
  return sizes.map((size) => {
    const part = slice(x, at, start, start + size);
    start += size;
    return part;
  });
}

/** `before` and `after` copies of a value at the ends of one axis. */
const Pad: Operator<{ axis: number; before: number; after: number; value: number }, 1> = {
  name: 'Pad',
  infer: ([x], { axis, before, after }) => {
    if (before < 0 || after < 0) {
      throw new GraphError('argument_invalid', `padding ${before}, ${after} is negative`);
    }
    const shape = x.shape.map((dim, i) => (i === axis ? addDims([dim, before + after]) : dim));
    return [{ dtype: x.dtype, shape }];
  },
  onnx: (emit, [x], { axis, before, after, value }, { inputs }) =>
    emit.node('Pad', [x, emit.int64([before, after]), emit.scalar(value, inputs[0].dtype), emit.int64([axis])]),
  evaluate([x], { axis, before, after, value }) {
    const shape = x.shape.map((dim, i) => (i === axis ? dim + before + after : dim));
    const strides = stridesOf(x.shape);
    const out = new Float64Array(sizeOf(shape)).fill(value);
    eachIndex(shape, (index, flat) => {
      const position = index[axis]! - before;
      if (position < 0 || position >= x.shape[axis]!) {
        return;
      }
      out[flat] = x.data[index.reduce((sum, i, k) => sum + (k === axis ? position : i) * strides[k]!, 0)]!;
    });
    return [out];
  },
  gradient({ inputs: [x], by: [dy], attributes: { axis, before } }) {
    const [size] = staticShape([x.shape[axis]!], 'the gradient of Pad');
    return [slice(dy, axis, before, before + size)];
  },
};
export const pad = (x: Tensor, axis: number, before: number, after: number, value = 0): Tensor =>
  before === 0 && after === 0 ? x : applyOne(Pad, [x], { axis: axisOf(axis, x.rank), before, after, value });

/** A triangle of a square matrix's last two axes: `upper` keeps columns >= row + diagonal, else columns <= row + diagonal. */
const Trilu: Operator<{ upper: boolean; diagonal: number }, 1> = {
  name: 'Trilu',
  infer: ([x]) => {
    if (x.rank < 2) {
      throw new GraphError('argument_invalid', 'needs at least two axes');
    }
    return [{ dtype: x.dtype, shape: x.shape }];
  },
  onnx: (emit, [x], { upper, diagonal }) => emit.node('Trilu', [x, emit.int64(diagonal)], { upper: upper ? 1 : 0 }),
  evaluate([x], { upper, diagonal }) {
    const out = Float64Array.from(x.data);
    const rank = x.shape.length;
    eachIndex(x.shape, (index, flat) => {
      const offset = index[rank - 1]! - index[rank - 2]!;
      if (upper ? offset < diagonal : offset > diagonal) {
        out[flat] = 0;
      }
    });
    return [out];
  },
  gradient: ({ by: [dy], attributes }) => [applyOne(Trilu, [dy], attributes)],
};
/** The lower triangle (columns <= row + diagonal), the rest 0. */
export const lowerTriangle = (x: Tensor, diagonal = 0): Tensor => applyOne(Trilu, [x], { upper: false, diagonal });
export const upperTriangle = (x: Tensor, diagonal = 0): Tensor => applyOne(Trilu, [x], { upper: true, diagonal });

export const parts: readonly AnyOperator[] = [Concat, Slice, Pad, Trilu];
