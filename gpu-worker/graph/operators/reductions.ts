/** Operators that fold axes away: sums, means, extremes, log-sum-exp, arg-max, cumulative sums. */

import { axisOf, type Dim, isStatic, sameShape, sizeOf, staticShape, stridesOf } from '../shape.ts';
import { type AnyOperator, applyOne, type Emitter, type Operator, type Tensor } from '../tensor.ts';
import { cast, equal } from './comparison.ts';
import { div, exp, mul, scaledSource, sub } from './elementwise.ts';
import { expandLike, reshape } from './layout.ts';
import { eachIndex, eachLine } from './oracle.ts';

type Axes = { axes: readonly number[]; keep: boolean };

const reducedShape = (shape: readonly Dim[], { axes, keep }: Axes): Dim[] =>
  shape.flatMap((dim, i) => (axes.includes(i) ? (keep ? [1] : []) : [dim]));
/** A reduced tensor with its folded axes back as size 1. */
const keptShape = (x: Tensor, reduced: Tensor, axes: readonly number[]): Tensor =>
  reshape(reduced, reducedShape(x.shape, { axes, keep: true }), x);

type ReductionForm = {
  fold(values: Float64Array): number;
  /** Another form than the operator's own; undefined where that is the better one. */
  onnx?(emit: Emitter, x: string, attributes: Axes, type: Tensor): readonly [string] | undefined;
  gradient(dy: Tensor, x: Tensor, y: Tensor, axes: readonly number[]): Tensor;
};

function reduction(name: string, { fold, onnx, gradient }: ReductionForm): Operator<Axes, 1> {
  return {
    name,
    infer: ([x], attributes) => [{ dtype: x.dtype, shape: reducedShape(x.shape, attributes) }],
    onnx: (emit, [x], attributes, { inputs }) =>
      onnx?.(emit, x, attributes, inputs[0]) ??
      emit.node(name, [x, emit.int64(attributes.axes)], { keepdims: attributes.keep ? 1 : 0 }),
    evaluate([x], { axes }) {
      const shape = x.shape.map((dim, i) => (axes.includes(i) ? 1 : dim));
      const strides = stridesOf(shape);
      const groups = Array.from({ length: sizeOf(shape) }, (): number[] => []);
      eachIndex(x.shape, (index, flat) => {
        groups[index.reduce((sum, i, axis) => sum + (axes.includes(axis) ? 0 : i * strides[axis]!), 0)]!.push(
          x.data[flat]!,
        );
      });
      return [Float64Array.from(groups, (group) => fold(Float64Array.from(group)))];
    },
    gradient: ({ inputs: [x], outputs: [y], by: [dy], attributes: { axes } }) => [
      gradient(keptShape(x, dy, axes), x, keptShape(x, y, axes), axes),
    ],
  };
}

const total = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0);
/** At ties the gradient is shared equally. */
function extremeGradient(dy: Tensor, x: Tensor, y: Tensor, axes: readonly number[]): Tensor {
  const hit = cast(equal(x, y), x.dtype);
  return mul(hit, div(dy, sum(hit, axes, true)));
}

/** Fewer rows than this are added as fast by the operator itself. */
const MANY_ROWS = 64;
/** Sums over all axes but the last (a bias's gradient): the CPU does them two to three times faster as a product. */
function sumOfRows(
  emit: Emitter,
  x: string,
  { axes, keep }: Axes,
  { shape, dtype, rank }: Tensor,
): readonly [string] | undefined {
  const leading = axes.length === rank - 1 && axes.every((axis, i) => axis === i);
  if (emit.target !== 'cpu' || dtype !== 'float32' || !leading || !isStatic(shape)) {
    return undefined;
  }
  const columns = shape[rank - 1] as number;
  const rows = sizeOf(shape as number[]) / columns;
  if (rows < MANY_ROWS) {
    return undefined;
  }
  const flat = rank === 2 ? x : emit.node('Reshape', [x, emit.int64([rows, columns])])[0];
  const [ones] = emit.node('Expand', [emit.scalar(1, dtype), emit.int64([1, rows])]);
  const summed = emit.node('Gemm', [ones, flat]);
  return keep && rank === 2
    ? summed
    : emit.node('Reshape', [summed[0]!, emit.int64(reducedShape(shape, { axes, keep }) as number[])]);
}
const ReduceSum = reduction('ReduceSum', {
  fold: total,
  onnx: sumOfRows,
  gradient: (dy, x) => expandLike(dy, x),
});
const ReduceMean = reduction('ReduceMean', {
  fold: (values) => total(values) / values.length,
  gradient(dy, x, _, axes) {
    const count = sizeOf(
      staticShape(
        axes.map((axis) => x.shape[axis]!),
        'the gradient of a mean',
      ),
    );
    return expandLike(mul(dy, 1 / count), x);
  },
});
const ReduceMax = reduction('ReduceMax', { fold: (values) => Math.max(...values), gradient: extremeGradient });
const ReduceMin = reduction('ReduceMin', { fold: (values) => Math.min(...values), gradient: extremeGradient });
/** Written as max + log sum exp(x - max): the CPU kernel of the single operator is several times slower. */
const ReduceLogSumExp = reduction('ReduceLogSumExp', {
  onnx(emit, x, { axes, keep }) {
    const over = emit.int64(axes);
    const [largest] = emit.node('ReduceMax', [x, over], { keepdims: 1 });
    const powers = emit.node('Exp', emit.node('Sub', [x, largest]));
    const [logs] = emit.node('Log', emit.node('ReduceSum', [powers[0]!, over], { keepdims: keep ? 1 : 0 }));
    return emit.node('Add', [logs, keep ? largest : emit.node('Squeeze', [largest, over])[0]]);
  },
  fold(values) {
    const largest = Math.max(...values);
    return largest + Math.log(total(values.map((value) => Math.exp(value - largest))));
  },
  gradient: (dy, x, y) => mul(dy, exp(sub(x, y))),
});

function reduce(
  operator: Operator<Axes, 1>,
  x: Tensor,
  axes: number | readonly number[] | undefined,
  keep: boolean,
): Tensor {
  const list = axes === undefined ? x.shape.map((_, i) => i) : [axes].flat();
  const sorted = [...new Set(list.map((axis) => axisOf(axis, x.rank)))].sort((a, b) => a - b);
  return sorted.length === 0 ? x : applyOne(operator, [x], { axes: sorted, keep });
}
type Axis = number | readonly number[];
/** Sum over the given axes (all by default); `keep` leaves them with size 1. */
export function sum(x: Tensor, axes?: Axis, keep = false): Tensor {
  const { source, factor } = scaledSource(x);
  return factor === 1 || !sameShape(source.shape, x.shape)
    ? reduce(ReduceSum, x, axes, keep)
    : mul(reduce(ReduceSum, source, axes, keep), factor);
}
export const mean = (x: Tensor, axes?: Axis, keep = false): Tensor => reduce(ReduceMean, x, axes, keep);
export const max = (x: Tensor, axes?: Axis, keep = false): Tensor => reduce(ReduceMax, x, axes, keep);
export const min = (x: Tensor, axes?: Axis, keep = false): Tensor => reduce(ReduceMin, x, axes, keep);
/** log sum exp, without overflow. */
export const logSumExp = (x: Tensor, axes?: Axis, keep = false): Tensor => reduce(ReduceLogSumExp, x, axes, keep);

/** Position of the largest element along an axis (the first at ties), int64. No gradient. */
const ArgMax: Operator<{ axis: number; keep: boolean }, 1> = {
  name: 'ArgMax',
  infer: ([x], { axis, keep }) => [{ dtype: 'int64', shape: reducedShape(x.shape, { axes: [axis], keep }) }],
  onnx: (emit, [x], { axis, keep }) => emit.node('ArgMax', [x], { axis, keepdims: keep ? 1 : 0 }),
  evaluate([x], { axis }) {
    const out: number[] = [];
    eachLine(x, axis, (line) => out.push(line.indexOf(Math.max(...line))));
    return [Float64Array.from(out)];
  },
};
export const argMax = (x: Tensor, axis = -1, keep = false): Tensor =>
  applyOne(ArgMax, [x], { axis: axisOf(axis, x.rank), keep });

/** Running sums along an axis, from the end if `reverse`; `exclusive` leaves each element out of its own sum. */
const CumSum: Operator<{ axis: number; reverse: boolean; exclusive: boolean }, 1> = {
  name: 'CumSum',
  infer: ([x]) => [{ dtype: x.dtype, shape: x.shape }],
  onnx: (emit, [x], { axis, reverse, exclusive }) =>
    emit.node('CumSum', [x, emit.int64(axis)], { reverse: reverse ? 1 : 0, exclusive: exclusive ? 1 : 0 }),
  evaluate([x], { axis, reverse, exclusive }) {
    const out = new Float64Array(x.data.length);
    eachLine(x, axis, (line, offsetOf) => {
      let running = 0;
      for (let i = 0; i < line.length; i++) {
        const position = reverse ? line.length - 1 - i : i;
        if (exclusive) {
          out[offsetOf(position)] = running;
        }
        running += line[position]!;
        if (!exclusive) {
          out[offsetOf(position)] = running;
        }
      }
    });
    return [out];
  },
  gradient: ({ by: [dy], attributes }) => [applyOne(CumSum, [dy], { ...attributes, reverse: !attributes.reverse })],
};
export const cumulativeSum = (x: Tensor, axis = -1, { reverse = false, exclusive = false } = {}): Tensor =>
  applyOne(CumSum, [x], { axis: axisOf(axis, x.rank), reverse, exclusive });

export const reductions: readonly AnyOperator[] = [
  ReduceSum,
  ReduceMean,
  ReduceMax,
  ReduceMin,
  ReduceLogSumExp,
  ArgMax,
  CumSum,
];
