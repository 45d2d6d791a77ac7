/** Reading and adding at positions given by integer tensors; top-k selection. Positions must lie inside the axis. */
import { ELEMENT_TYPES } from '../../onnx/model.ts';
import { INTEGERS } from '../dtype.ts';
import { GraphError } from '../errors.ts';
import { axisOf, type Dim, isStatic, type Shape, sizeOf, stridesOf } from '../shape.ts';
import { type AnyOperator, apply, applyOne, commonDType, type Operator, requireDType, type Tensor } from '../tensor.ts';
import { greaterEqual } from './comparison.ts';
import { NONE, type None } from './elementwise.ts';
import { reshape, transpose, zerosLike } from './layout.ts';
import { eachIndex, eachLine } from './oracle.ts';
import { min } from './reductions.ts';

const POSITIONS = INTEGERS.filter((dtype) => dtype !== 'uint8');
const product = (dims: Shape): Dim => (isStatic(dims) ? sizeOf(dims) : dims.join('*'));

/** Slices of `x` at the given positions of one axis, for example rows of an embedding table. */
const Gather: Operator<{ axis: number }, 2> = {
  name: 'Gather',
  infer([x, positions], { axis }) {
    requireDType(positions, POSITIONS, 'positions');
    return [{ dtype: x.dtype, shape: [...x.shape.slice(0, axis), ...positions.shape, ...x.shape.slice(axis + 1)] }];
  },
  onnx: (emit, inputs, { axis }) => emit.node('Gather', inputs, { axis }),
  evaluate([x, positions], { axis }) {
    const [outer, size, inner] = [sizeOf(x.shape.slice(0, axis)), x.shape[axis]!, sizeOf(x.shape.slice(axis + 1))];
    const out: number[] = [];
    for (let o = 0; o < outer; o++) {
      for (const position of positions.data) {
        for (let i = 0; i < inner; i++) {
          out.push(x.data[(o * size + position) * inner + i]!);
        }
      }
    }
    return [Float64Array.from(out)];
  },
  gradient({ inputs: [x, positions], by: [dy], attributes: { axis } }) {
    const rest = x.shape.filter((_, i) => i !== axis);
    const count = product(positions.shape);
    // The gathered axes come first, so that whole rows are added.
    const k = positions.rank;
    const order = [...Array(k).keys()].map((i) => i + axis);
    const lead = transpose(dy, [
      ...order,
      ...Array.from({ length: dy.rank }, (_, i) => i).filter((i) => !order.includes(i)),
    ]);
    const table = transpose(x, [axis, ...rest.map((_, i) => (i < axis ? i : i + 1))]);
    const flatTable = reshape(zerosLike(table), [table.shape[0]!, product(rest)]);
    const summed = addRows(flatTable, reshape(positions, [count]), reshape(lead, [count, product(rest)]));
    const back = Array.from({ length: x.rank }, (_, i) => (i < axis ? i + 1 : i === axis ? 0 : i));
    return [transpose(reshape(summed, table.shape), back), undefined];
  },
};
export const gather = (x: Tensor, positions: Tensor, axis = 0): Tensor =>
  applyOne(Gather, [x, positions], { axis: axisOf(axis, x.rank) });

/** Adds row i of `updates` [n, d] to row positions[i] of `base` [m, d]; repeated positions add up exactly. */
const AddRows: Operator<None, 3> = {
  name: 'AddRows',
  infer([base, positions, updates]) {
    requireDType(positions, POSITIONS, 'positions');
    if (
      base.rank !== 2 ||
      positions.rank !== 1 ||
      updates.rank !== 2 ||
      base.shape[1] !== updates.shape[1] ||
      positions.shape[0] !== updates.shape[0]
    ) {
      throw new GraphError('shape_mismatch', 'needs base [m, d], positions [n] and updates [n, d]');
    }
    return [{ dtype: commonDType([base, updates]), shape: base.shape }];
  },
  onnx(emit, [base, positions, updates], _, { inputs }) {
    // ScatterElements, not ScatterND: the latter loses updates on the CPU when positions repeat.
    const [column] = emit.node('Unsqueeze', [positions, emit.int64([1])]);
    const width = inputs[0].shape[1]!;
    if (emit.target === 'webgpu' || typeof width === 'string') {
      const [repeated] = emit.node('Expand', [column, emit.shape(inputs[2].shape)]);
      return emit.node('ScatterElements', [base, repeated, updates], { axis: 0, reduction: 'add' });
    }
    // On one flat axis the CPU kernel is about seven times faster.
    const flat = (name: string) => emit.node('Reshape', [name, emit.int64([-1])])[0];
    const [wide] = emit.node('Cast', [column], { to: ELEMENT_TYPES.int64 });
    const [starts] = emit.node('Mul', [wide, emit.int64(width)]);
    const [places] = emit.node('Add', [starts, emit.int64(Array.from({ length: width }, (_, i) => i))]);
    const scatter = [flat(base), flat(places), flat(updates)];
    const [summed] = emit.node('ScatterElements', scatter, { axis: 0, reduction: 'add' });
    return emit.node('Reshape', [summed, emit.shape(inputs[0].shape)]);
  },
  evaluate([base, positions, updates]) {
    const out = Float64Array.from(base.data);
    const width = base.shape[1]!;
    positions.data.forEach((position, row) => {
      for (let i = 0; i < width; i++) {
        out[position * width + i]! += updates.data[row * width + i]!;
      }
    });
    return [out];
  },
  gradient: ({ inputs: [, positions], by: [dy] }) => [dy, undefined, gather(dy, positions, 0)],
};
export const addRows = (base: Tensor, positions: Tensor, updates: Tensor): Tensor =>
  applyOne(AddRows, [base, positions, updates], NONE);

/** y[.., i, ..] = x[.., positions[.., i, ..], ..] along one axis; other sizes of `positions` equal those of `x`. */
const GatherElements: Operator<{ axis: number }, 2> = {
  name: 'GatherElements',
  infer([x, positions], { axis }) {
    requireDType(positions, POSITIONS, 'positions');
    requireAligned(x, positions, axis);
    return [{ dtype: x.dtype, shape: positions.shape }];
  },
  onnx: (emit, inputs, { axis }) => emit.node('GatherElements', inputs, { axis }),
  evaluate([x, positions], { axis }) {
    const strides = stridesOf(x.shape);
    const out = new Float64Array(positions.data.length);
    eachIndex(positions.shape, (index, flat) => {
      out[flat] = x.data[elementOffset(index, strides, axis, positions.data[flat]!)]!;
    });
    return [out];
  },
  gradient: ({ inputs: [x, positions], by: [dy], attributes: { axis } }) => [
    addElements(zerosLike(x), positions, dy, axis),
    undefined,
  ],
};
export const gatherElements = (x: Tensor, positions: Tensor, axis = -1): Tensor =>
  applyOne(GatherElements, [x, positions], { axis: axisOf(axis, x.rank) });

/** Adds `updates` at the places that `gatherElements` would read; repeated places add up exactly. */
const AddElements: Operator<{ axis: number }, 3> = {
  name: 'AddElements',
  infer([base, positions, updates], { axis }) {
    requireDType(positions, POSITIONS, 'positions');
    requireAligned(base, positions, axis);
    requireAligned(updates, positions, -1);
    return [{ dtype: commonDType([base, updates]), shape: base.shape }];
  },
  onnx: (emit, inputs, { axis }) => emit.node('ScatterElements', inputs, { axis, reduction: 'add' }),
  evaluate([base, positions, updates], { axis }) {
    const strides = stridesOf(base.shape);
    const out = Float64Array.from(base.data);
    eachIndex(positions.shape, (index, flat) => {
      out[elementOffset(index, strides, axis, positions.data[flat]!)]! += updates.data[flat]!;
    });
    return [out];
  },
  gradient: ({ inputs: [, positions], by: [dy], attributes: { axis } }) => [
    dy,
    undefined,
    gatherElements(dy, positions, axis),
  ],
};
export const addElements = (base: Tensor, positions: Tensor, updates: Tensor, axis = -1): Tensor =>
  applyOne(AddElements, [base, positions, updates], { axis: axisOf(axis, base.rank) });

function requireAligned(x: Tensor, positions: Tensor, axis: number): void {
  if (x.rank !== positions.rank || x.shape.some((dim, i) => i !== axis && dim !== positions.shape[i])) {
    throw new GraphError('shape_mismatch', `sizes other than axis ${axis} must agree`);
  }
}
const elementOffset = (index: readonly number[], strides: readonly number[], axis: number, position: number): number =>
  index.reduce((sum, i, k) => sum + (k === axis ? position : i) * strides[k]!, 0);

/** The k largest elements along the last axis, in descending order, with their positions (int64). */
const TopK: Operator<{ k: number; sorted: boolean }, 1, 2> = {
  name: 'TopK',
  infer([x], { k }) {
    const size = x.shape[x.rank - 1];
    if (size === undefined || k < 1 || (typeof size === 'number' && k > size)) {
      throw new GraphError('argument_invalid', `k = ${k} is outside 1..${size}`);
    }
    const shape = [...x.shape.slice(0, -1), k];
    return [
      { dtype: x.dtype, shape },
      { dtype: 'int64', shape },
    ];
  },
  onnx: (emit, [x], { k, sorted }) =>
    emit.node('TopK', [x, emit.int64([k])], { axis: -1, sorted: sorted ? 1 : 0 }, { outputs: 2 }),
  evaluate([x], { k }) {
    const [values, positions]: [number[], number[]] = [[], []];
    eachLine(x, x.shape.length - 1, (line) => {
      const order = [...line.keys()].sort((a, b) => line[b]! - line[a]! || a - b).slice(0, k);
      positions.push(...order);
      values.push(...order.map((i) => line[i]!));
    });
    return [Float64Array.from(values), Float64Array.from(positions)];
  },
  gradient: ({ inputs: [x], outputs: [, positions], by: [dy] }) => [dy && addElements(zerosLike(x), positions, dy, -1)],
};
export function topK(x: Tensor, k: number): { values: Tensor; positions: Tensor } {
  const [values, positions] = apply(TopK, [x], { k, sorted: true });
  return { values: values, positions: positions };
}
/** The k-th largest value along the last axis, kept as an axis of size 1. The order of the others is not asked for. */
export const kthLargest = (x: Tensor, k: number): Tensor => min(apply(TopK, [x], { k, sorted: false })[0], -1, true);
/** True at the k largest elements of the last axis; where elements tie with the k-th, all of them are included. */
export const topKMask = (x: Tensor, k: number): Tensor => greaterEqual(x, kthLargest(x, k));

export const indexing: readonly AnyOperator[] = [Gather, AddRows, GatherElements, AddElements, TopK];
