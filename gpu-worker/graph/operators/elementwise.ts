/** Operators that act on each element: arithmetic with broadcasting, and the usual functions. */

import { erf as erfOf, sigmoid as sigmoidOf, softplus as softplusOf } from '../../../shared/math/special.ts';
import { FLOATS } from '../dtype.ts';
import { broadcastShapes } from '../shape.ts';
import {
  type AnyOperator,
  applyOne,
  commonDType,
  type Emitter,
  madeBy,
  type Operator,
  requireDType,
  Tensor,
} from '../tensor.ts';
import { cast, greater, greaterEqual, masked, not } from './comparison.ts';
import { expandSource, sumTo } from './layout.ts';
import { constant, scalar, scalarValue } from './leaves.ts';
import { mapBroadcast } from './oracle.ts';

export type None = Readonly<Record<never, never>>;
export const NONE: None = {};

/** A tensor, or a number that takes the other operand's element type. */
export type Operand = Tensor | number;
export const lift = (value: Operand, like: Tensor): Tensor =>
  value instanceof Tensor ? value : scalar(value, like.dtype);

function liftPair(a: Operand, b: Operand): [Tensor, Tensor] {
  const like = a instanceof Tensor ? a : b instanceof Tensor ? b : scalar(a);
  return [lift(a, like), lift(b, like)];
}

type UnaryForm = {
  value(x: number): number;
  onnx?(emit: Emitter, x: string, dtype: Tensor['dtype']): readonly [string];
  gradient?(dy: Tensor, x: Tensor, y: Tensor): Tensor;
};

function unary(name: string, { value, onnx, gradient }: UnaryForm): Operator<None, 1> {
  return {
    name,
    infer: ([x]) => {
      requireDType(x, [...FLOATS, 'int64', 'int32'], 'the operand');
      return [{ dtype: x.dtype, shape: x.shape }];
    },
    onnx: (emit, [x], _, { inputs: [{ dtype }] }) => (onnx ? onnx(emit, x, dtype) : emit.node(name, [x])),
    evaluate: ([x]) => [x.data.map(value)],
    ...(gradient && { gradient: ({ inputs: [x], outputs: [y], by: [dy] }) => [gradient(dy, x, y)] }),
  };
}

type BinaryForm = {
  value(a: number, b: number): number;
  onnx?(emit: Emitter, a: string, b: string): readonly [string];
  gradient?(dy: Tensor, a: Tensor, b: Tensor, y: Tensor): [Tensor | (() => Tensor), Tensor | (() => Tensor)];
};

function binary(name: string, { value, onnx, gradient }: BinaryForm): Operator<None, 2> {
  return {
    name,
    infer: ([a, b]) => [{ dtype: commonDType([a, b]), shape: broadcastShapes(a.shape, b.shape) }],
    onnx: (emit, [a, b]) => (onnx ? onnx(emit, a, b) : emit.node(name, [a, b])),
    evaluate: (inputs) => [mapBroadcast(inputs, value)],
    ...(gradient && {
      gradient: ({ inputs: [a, b], outputs: [y], by: [dy] }) =>
        gradient(dy, a, b, y).map((by, i) => sumTo(typeof by === 'function' ? by() : by, [a, b][i]!)),
    }),
  };
}

/** Applies a binary operator; an operand that was only expanded to the other's shape is used as it was before. */
function applyBinary(operator: Operator<None, 2>, left: Operand, right: Operand): Tensor {
  const [a, b] = liftPair(left, right);
  const source = expandSource(a, b);
  return applyOne(operator, [source, expandSource(b, source)], NONE);
}

const Add = binary('Add', { value: (a, b) => a + b, gradient: (dy) => [dy, dy] });
const Sub = binary('Sub', { value: (a, b) => a - b, gradient: (dy, _, b) => [dy, () => neg(sumTo(dy, b))] });
const Mul = binary('Mul', { value: (a, b) => a * b, gradient: (dy, a, b) => [() => mul(dy, b), () => mul(dy, a)] });
const Div = binary('Div', {
  value: (a, b) => a / b,
  gradient: (dy, _, b, y) => [() => div(dy, b), () => neg(div(mul(dy, y), b))],
});
/** The exponent's gradient is defined for positive bases only. */
const Pow = binary('Pow', {
  value: (a, b) => a ** b,
  gradient: (dy, a, b, y) => [() => mul(dy, powerSlope(a, b)), () => mul(dy, mul(y, log(a)))],
});
const powerSlope = (a: Tensor, b: Tensor): Tensor => {
  const exponent = scalarValue(b);
  return exponent === undefined ? mul(b, pow(a, sub(b, 1))) : mul(pow(a, exponent - 1), exponent);
};
/** At ties the whole gradient goes to the first operand. */
const Max = binary('Max', {
  value: Math.max,
  gradient: (dy, a, b) => [() => masked(dy, greaterEqual(a, b)), () => masked(dy, not(greaterEqual(a, b)))],
});
const Min = binary('Min', {
  value: Math.min,
  gradient: (dy, a, b) => [() => masked(dy, greaterEqual(b, a)), () => masked(dy, not(greaterEqual(b, a)))],
});

export function add(a: Operand, b: Operand): Tensor {
  if (b === 0 && a instanceof Tensor) {
    return a;
  }
  return applyBinary(Add, a, b);
}
export const sub = (a: Operand, b: Operand): Tensor => applyBinary(Sub, a, b);
const ones = ({ shape }: Tensor): number[] => shape.map(() => 1);
export function mul(a: Operand, b: Operand): Tensor {
  const [x, y] = liftPair(a, b);
  const [left, right] = [scalarValue(x), scalarValue(y)];
  if (x.dtype === y.dtype) {
    if (left !== undefined && right !== undefined) {
      return constant([left * right], x.rank > y.rank ? ones(x) : ones(y), x.dtype);
    }
    if (right === 1 && x.rank >= y.rank) {
      return x;
    }
    if (left === 1 && y.rank >= x.rank) {
      return y;
    }
  }
  return applyBinary(Mul, x, y);
}
export const div = (a: Operand, b: Operand): Tensor => (b === 1 && a instanceof Tensor ? a : applyBinary(Div, a, b));
export const pow = (a: Operand, b: Operand): Tensor => (b === 1 && a instanceof Tensor ? a : applyBinary(Pow, a, b));
export const maximum = (a: Operand, b: Operand): Tensor => applyBinary(Max, a, b);
export const minimum = (a: Operand, b: Operand): Tensor => applyBinary(Min, a, b);
export const clip = (x: Tensor, low: Operand, high: Operand): Tensor => minimum(maximum(x, low), high);

const Neg = unary('Neg', { value: (x) => -x, gradient: (dy) => neg(dy) });
const Exp = unary('Exp', { value: Math.exp, gradient: (dy, _, y) => mul(dy, y) });
const Log = unary('Log', { value: Math.log, gradient: (dy, x) => div(dy, x) });
const Sqrt = unary('Sqrt', { value: Math.sqrt, gradient: (dy, _, y) => div(mul(dy, 0.5), y) });
const Reciprocal = unary('Reciprocal', { value: (x) => 1 / x, gradient: (dy, _, y) => neg(mul(dy, mul(y, y))) });
/** The gradient at 0 is 0. */
const Abs = unary('Abs', { value: Math.abs, gradient: (dy, x) => mul(dy, sign(x)) });
/** No gradient. The runtime has no Sign on WebGPU. */
const Sign = unary('Sign', {
  value: Math.sign,
  onnx(emit, x, dtype) {
    if (emit.target !== 'webgpu') {
      return emit.node('Sign', [x]);
    }
    const [zero, one, minus] = [0, 1, -1].map((value) => emit.scalar(value, dtype)) as [string, string, string];
    const [positive, negative] = [emit.node('Greater', [x, zero])[0], emit.node('Less', [x, zero])[0]];
    return emit.node('Where', [positive, one, emit.node('Where', [negative, minus, zero])[0]]);
  },
});
/** No gradient. */
const Floor = unary('Floor', { value: Math.floor });
const Sin = unary('Sin', { value: Math.sin, gradient: (dy, x) => mul(dy, cos(x)) });
const Cos = unary('Cos', { value: Math.cos, gradient: (dy, x) => neg(mul(dy, sin(x))) });
const Tanh = unary('Tanh', { value: Math.tanh, gradient: (dy, _, y) => mul(dy, sub(1, mul(y, y))) });
const Sigmoid = unary('Sigmoid', {
  value: sigmoidOf,
  gradient: (dy, _, y) => mul(dy, mul(y, sub(1, y))),
});
/** The gradient at 0 is 0. */
const Relu = unary('Relu', { value: (x) => Math.max(x, 0), gradient: (dy, x) => masked(dy, greater(x, 0)) });
const Softplus = unary('Softplus', {
  value: softplusOf,
  gradient: (dy, x) => mul(dy, sigmoid(x)),
});
const Erf = unary('Erf', {
  value: erfOf,
  gradient: (dy, x) => mul(dy, mul(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI))),
});
/** x Phi(x), the exact form (Hendrycks & Gimpel 2016). */
const Gelu = unary('Gelu', {
  value: (x) => 0.5 * x * (1 + erfOf(x / Math.SQRT2)),
  gradient(dy, x) {
    // Phi(x) + x phi(x), arranged for few passes over memory.
    const z = mul(x, Math.SQRT1_2);
    const twiceDensity = exp(sub(Math.log(2 / Math.sqrt(2 * Math.PI)), mul(z, z)));
    return mul(mul(dy, add(add(erf(z), mul(x, twiceDensity)), 1)), 0.5);
  },
});

/** The constant that `x` is multiplied by, and what is multiplied: for products that can take a factor along. */
export function scaledSource(x: Tensor): { source: Tensor; factor: number } {
  const product = madeBy(Mul, x);
  if (product) {
    const [a, b] = product.inputs;
    const [left, right] = [scalarValue(a), scalarValue(b)];
    if (right !== undefined) {
      return { source: a, factor: right };
    }
    if (left !== undefined) {
      return { source: b, factor: left };
    }
  }
  return { source: x, factor: 1 };
}

const GELU_SCALE = Math.sqrt(2 / Math.PI);
/** The tanh approximation of GELU, as used by GPT-2 and Gemma. */
const GeluTanh: Operator<None, 1> = {
  ...unary('GeluTanh', {
    value: (x) => 0.5 * x * (1 + Math.tanh(GELU_SCALE * (x + 0.044715 * x ** 3))),
    onnx: (emit, x) => emit.node('Gelu', [x], { approximate: 'tanh' }),
    gradient(dy, x) {
      const square = mul(x, x);
      const t = tanh(mul(x, add(mul(square, 0.044715 * GELU_SCALE), GELU_SCALE)));
      const slope = mul(sub(1, mul(t, t)), mul(x, add(mul(square, 3 * 0.044715 * GELU_SCALE), GELU_SCALE)));
      return mul(dy, mul(add(add(t, 1), slope), 0.5));
    },
  }),
};

const function1 =
  (operator: Operator<None, 1>) =>
  (x: Tensor): Tensor =>
    applyOne(operator, [x], NONE);
export function neg(x: Tensor): Tensor {
  return madeBy(Neg, x)?.inputs[0] ?? applyOne(Neg, [x], NONE);
}
export const exp = function1(Exp);
export const log = function1(Log);
export const sqrt = function1(Sqrt);
export const reciprocal = function1(Reciprocal);
export const abs = function1(Abs);
export const sign = function1(Sign);
export const floor = function1(Floor);
export const sin = function1(Sin);
export const cos = function1(Cos);
export const tanh = function1(Tanh);
export const sigmoid = function1(Sigmoid);
export const relu = function1(Relu);
export const softplus = function1(Softplus);
export const erf = function1(Erf);
export const gelu = function1(Gelu);
export const geluTanh = function1(GeluTanh);
export const square = (x: Tensor): Tensor => mul(x, x);
/** x sigmoid(x), also called swish. */
export const silu = (x: Tensor): Tensor => mul(x, sigmoid(x));
/** 1 / sqrt(x). */
export const rsqrt = (x: Tensor): Tensor => reciprocal(sqrt(x));
/** 1 where the condition holds, else 0. */
export const indicator = (condition: Tensor, dtype: Tensor['dtype'] = 'float32'): Tensor => cast(condition, dtype);

export const elementwise: readonly AnyOperator[] = [
  Add,
  Sub,
  Mul,
  Div,
  Pow,
  Max,
  Min,
  Neg,
  Exp,
  Log,
  Sqrt,
  Reciprocal,
  Abs,
  Sign,
  Floor,
  Sin,
  Cos,
  Tanh,
  Sigmoid,
  Relu,
  Softplus,
  Erf,
  Gelu,
  GeluTanh,
];
