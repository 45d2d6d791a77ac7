/** Conditions, choices between tensors, and changes of element type. */
import { ELEMENT_TYPES } from '../../onnx/model.ts';
import { type DType, isFloat } from '../dtype.ts';
import { broadcastShapes } from '../shape.ts';
import {
  type AnyOperator,
  applyOne,
  commonDType,
  type Emitter,
  type Operator,
  requireDType,
  Tensor,
} from '../tensor.ts';
import { lift, NONE, type None, type Operand } from './elementwise.ts';
import { expandSource, sumTo } from './layout.ts';
import { mapBroadcast } from './oracle.ts';

/** Comparisons and logic give bool and pass no gradient. */
function predicate(
  name: string,
  value: (a: number, b: number) => boolean,
  {
    logical = false,
    onnx,
  }: { logical?: boolean; onnx?: (emit: Emitter, a: string, b: string) => readonly [string] } = {},
): Operator<None, 2> {
  return {
    name,
    infer: ([a, b]) => {
      if (logical) {
        for (const operand of [a, b]) {
          requireDType(operand, ['bool'], 'operands');
        }
      } else {
        commonDType([a, b]);
      }
      return [{ dtype: 'bool', shape: broadcastShapes(a.shape, b.shape) }];
    },
    onnx: (emit, [a, b]) => (onnx ? onnx(emit, a, b) : emit.node(name, [a, b])),
    evaluate: (inputs) => [mapBroadcast(inputs, (a, b) => (value(a, b) ? 1 : 0))],
  };
}

const Equal = predicate('Equal', (a, b) => a === b);
const Greater = predicate('Greater', (a, b) => a > b);
const GreaterOrEqual = predicate('GreaterOrEqual', (a, b) => a >= b);
const Less = predicate('Less', (a, b) => a < b);
const LessOrEqual = predicate('LessOrEqual', (a, b) => a <= b);
const And = predicate('And', (a, b) => a !== 0 && b !== 0, { logical: true });
/** Written as not (not a and not b): the runtime has no Or on WebGPU. */
const Or = predicate('Or', (a, b) => a !== 0 || b !== 0, {
  logical: true,
  onnx(emit, a, b) {
    const neither = emit.node('And', [emit.node('Not', [a])[0], emit.node('Not', [b])[0]]);
    return emit.node('Not', neither);
  },
});
const Not: Operator<None, 1> = {
  name: 'Not',
  infer: ([x]) => {
    requireDType(x, ['bool'], 'the operand');
    return [{ dtype: 'bool', shape: x.shape }];
  },
  onnx: (emit, [x]) => emit.node('Not', [x]),
  evaluate: ([x]) => [x.data.map((value) => (value === 0 ? 1 : 0))],
};

const compare =
  (operator: Operator<None, 2>) =>
  (a: Tensor, b: Operand): Tensor =>
    applyOne(operator, [a, lift(b, a)], NONE);
export const equal = compare(Equal);
export const greater = compare(Greater);
export const greaterEqual = compare(GreaterOrEqual);
export const less = compare(Less);
export const lessEqual = compare(LessOrEqual);
export const and = compare(And);
export const or = compare(Or);
export const not = (x: Tensor): Tensor => applyOne(Not, [x], NONE);

/** Picks from `a` where the condition holds, else from `b`; all three broadcast. */
const Where: Operator<None, 3> = {
  name: 'Where',
  infer: ([condition, a, b]) => {
    requireDType(condition, ['bool'], 'the condition');
    const shape = broadcastShapes(condition.shape, broadcastShapes(a.shape, b.shape));
    return [{ dtype: commonDType([a, b]), shape }];
  },
  onnx: (emit, inputs) => emit.node('Where', inputs),
  evaluate: (inputs) => [mapBroadcast(inputs, (condition, a, b) => (condition ? a : b))],
  gradient: ({ inputs: [condition, a, b], by: [dy] }) => [
    undefined,
    sumTo(masked(dy, condition), a),
    sumTo(masked(dy, not(condition)), b),
  ],
};
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  const like = a instanceof Tensor ? a : b instanceof Tensor ? b : undefined;
  const [x, y] = like ? [lift(a, like), lift(b, like)] : [lift(a, FLOAT), lift(b, FLOAT)];
  return applyOne(Where, [condition, x, y], NONE);
}
const FLOAT = { dtype: 'float32' } as Tensor;

/**
 * `x` where the condition holds, else 0, for finite x: the runtime multiplies, which is several times faster than its
 * Where.
 */
const Masked: Operator<None, 2> = {
  name: 'Masked',
  infer: ([x, condition]) => {
    requireDType(condition, ['bool'], 'the condition');
    return [{ dtype: x.dtype, shape: broadcastShapes(x.shape, condition.shape) }];
  },
  onnx(emit, [x, condition], _, { inputs }) {
    const [factor] = emit.node('Cast', [condition], { to: ELEMENT_TYPES[inputs[0].dtype] });
    return emit.node('Mul', [x, factor]);
  },
  evaluate: (inputs) => [mapBroadcast(inputs, (x, condition) => (condition ? x : 0))],
  gradient: ({ inputs: [x, condition], by: [dy] }) => [sumTo(masked(dy, condition), x), undefined],
};
export const masked = (x: Tensor, condition: Tensor): Tensor =>
  applyOne(Masked, [expandSource(x, condition), condition], NONE);

/** Change of element type; floats to integers truncate. Gradients pass between floats only. */
const Cast: Operator<{ to: DType }, 1> = {
  name: 'Cast',
  infer: ([x], { to }) => [{ dtype: to, shape: x.shape }],
  onnx: (emit, [x], { to }) => emit.node('Cast', [x], { to: ELEMENT_TYPES[to] }),
  evaluate: ([x], { to }) => [x.data.map((v) => (to === 'bool' ? Number(v !== 0) : isFloat(to) ? v : Math.trunc(v)))],
  gradient: ({ inputs: [x], by: [dy] }) => [isFloat(x.dtype) ? cast(dy, x.dtype) : undefined],
};
export const cast = (x: Tensor, to: DType): Tensor => (x.dtype === to ? x : applyOne(Cast, [x], { to }));

export const comparison: readonly AnyOperator[] = [
  Equal,
  Greater,
  GreaterOrEqual,
  Less,
  LessOrEqual,
  And,
  Or,
  Not,
  Where,
  Masked,
  Cast,
];
