/** Softmax and normalisation along the last axis or a chosen one. */

import { GraphError } from '../errors.ts';
import { axisOf, sameShape, staticShape } from '../shape.ts';
import { type AnyOperator, apply, applyOne, commonDType, type Operator, type Tensor } from '../tensor.ts';
import { add, exp, lift, mul, sub } from './elementwise.ts';
import { reshape, sumTo } from './layout.ts';
import { matmul } from './matmul.ts';
import { eachLine } from './oracle.ts';
import { sum } from './reductions.ts';

const softmaxOf = (line: Float64Array): Float64Array => {
  const largest = Math.max(...line);
  const powers = line.map((value) => Math.exp(value - largest));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((value) => value / total);
};

const Softmax: Operator<{ axis: number }, 1> = {
  name: 'Softmax',
  infer: ([x]) => [{ dtype: x.dtype, shape: x.shape }],
  onnx: (emit, [x], { axis }) => emit.node('Softmax', [x], { axis }),
  evaluate([x], { axis }) {
    const out = new Float64Array(x.data.length);
    eachLine(x, axis, (line, offsetOf) => {
      softmaxOf(line).forEach((value, i) => {
        out[offsetOf(i)] = value;
      });
    });
    return [out];
  },
  gradient({ outputs: [y], by: [dy], attributes: { axis } }) {
    const weighted = mul(dy, y);
    return [sub(weighted, mul(y, sum(weighted, axis, true)))];
  },
};
export const softmax = (x: Tensor, axis = -1): Tensor => applyOne(Softmax, [x], { axis: axisOf(axis, x.rank) });

/** The runtime has no LogSoftmax on WebGPU. */
const LogSoftmax: Operator<{ axis: number }, 1> = {
  name: 'LogSoftmax',
  infer: ([x]) => [{ dtype: x.dtype, shape: x.shape }],
  onnx(emit, [x], { axis }) {
    if (emit.target !== 'webgpu') {
      return emit.node('LogSoftmax', [x], { axis });
    }
    const [normaliser] = emit.node('ReduceLogSumExp', [x, emit.int64([axis])], { keepdims: 1 });
    return emit.node('Sub', [x, normaliser]);
  },
  evaluate([x], { axis }) {
    const out = new Float64Array(x.data.length);
    eachLine(x, axis, (line, offsetOf) => {
      const largest = Math.max(...line);
      const normaliser = largest + Math.log(line.reduce((total, value) => total + Math.exp(value - largest), 0));
      line.forEach((value, i) => {
        out[offsetOf(i)] = value - normaliser;
      });
    });
    return [out];
  },
  gradient: ({ outputs: [y], by: [dy], attributes: { axis } }) => [sub(dy, mul(exp(y), sum(dy, axis, true)))],
};
export const logSoftmax = (x: Tensor, axis = -1): Tensor => applyOne(LogSoftmax, [x], { axis: axisOf(axis, x.rank) });

function requireVector(x: Tensor, vector: Tensor, what: string): void {
  commonDType([x, vector]);
  if (!sameShape(vector.shape, x.shape.slice(-1))) {
    throw new GraphError('shape_mismatch', `${what} must have the size of the last axis`);
  }
}
/** mean(x * weights) over the last axis, kept: a product with a column, which stores nothing of the size of x. */
function weightedMean(x: Tensor, weights: Tensor): Tensor {
  const width = x.shape[x.rank - 1]!;
  const [size] = staticShape([width], 'the gradient of a normalisation');
  return matmul(x, reshape(weights, [width, 1]), { alpha: 1 / size });
}
const perRow = (x: Tensor) => [...x.shape.slice(0, -1), 1];

/** (x - mean) / sqrt(variance + epsilon) * scale + bias over the last axis (Ba et al. 2016). */
const LayerNorm: Operator<{ epsilon: number }, 3, 3> = {
  name: 'LayerNorm',
  infer([x, scale, bias]) {
    requireVector(x, scale, 'scale');
    requireVector(x, bias, 'bias');
    const row = { dtype: x.dtype, shape: perRow(x) };
    return [{ dtype: x.dtype, shape: x.shape }, row, row];
  },
  onnx: (emit, inputs, { epsilon }) =>
    emit.node('LayerNormalization', inputs, { axis: -1, epsilon: { float: epsilon } }, { outputs: 3 }),
  evaluate([x, scale, bias], { epsilon }) {
    const out = new Float64Array(x.data.length);
    const [means, inverses]: [number[], number[]] = [[], []];
    eachLine(x, x.shape.length - 1, (line, offsetOf) => {
      const centre = line.reduce((a, b) => a + b, 0) / line.length;
      const inverse = 1 / Math.sqrt(line.reduce((a, b) => a + (b - centre) ** 2, 0) / line.length + epsilon);
      line.forEach((v, i) => {
        out[offsetOf(i)] = (v - centre) * inverse * scale.data[i]! + bias.data[i]!;
      });
      means.push(centre);
      inverses.push(inverse);
    });
    return [out, Float64Array.from(means), Float64Array.from(inverses)];
  },
  gradient({ inputs: [x, scale, bias], outputs: [, centre, inverse], by: [dy] }) {
    if (!dy) {
      return [];
    }
    const normal = mul(sub(x, centre), inverse);
    const byScale = mul(dy, normal);
    const projection = add(mul(normal, weightedMean(byScale, scale)), weightedMean(dy, scale));
    const byX = mul(sub(mul(dy, scale), projection), inverse);
    return [byX, sumTo(byScale, scale), sumTo(dy, bias)];
  },
};
export const layerNorm = (x: Tensor, scale: Tensor, bias: Tensor, epsilon = 1e-5): Tensor =>
  apply(LayerNorm, [x, scale, bias], { epsilon })[0];

/** x / sqrt(mean(x^2) + epsilon) * scale over the last axis (Zhang & Sennrich 2019). */
const RmsNorm: Operator<{ epsilon: number }, 2, 2> = {
  name: 'RmsNorm',
  infer([x, scale]) {
    requireVector(x, scale, 'scale');
    return [
      { dtype: x.dtype, shape: x.shape },
      { dtype: x.dtype, shape: perRow(x) },
    ];
  },
  onnx(emit, names, { epsilon }, { inputs: [{ dtype }] }) {
    if (emit.target !== 'webgpu') {
      return emit.node(
        'SimplifiedLayerNormalization',
        names,
        { axis: -1, epsilon: { float: epsilon } },
        { outputs: 2 },
      );
    }
    // The WebGPU kernel leaves the second output unwritten, and gradients need it.
    const [x, scale] = names;
    const [squares] = emit.node('Mul', [x, x]);
    const [average] = emit.node('ReduceMean', [squares, emit.int64([-1])], { keepdims: 1 });
    const [shifted] = emit.node('Add', [average, emit.scalar(epsilon, dtype)]);
    const [inverse] = emit.node('Reciprocal', [emit.node('Sqrt', [shifted])[0]]);
    return [emit.node('Mul', [emit.node('Mul', [x, inverse])[0], scale])[0], inverse];
  },
  evaluate([x, scale], { epsilon }) {
    const out = new Float64Array(x.data.length);
    const inverses: number[] = [];
    eachLine(x, x.shape.length - 1, (line, offsetOf) => {
      const inverse = 1 / Math.sqrt(line.reduce((a, b) => a + b * b, 0) / line.length + epsilon);
      line.forEach((value, i) => {
        out[offsetOf(i)] = value * inverse * scale.data[i]!;
      });
      inverses.push(inverse);
    });
    return [out, Float64Array.from(inverses)];
  },
  gradient({ inputs: [x, scale], outputs: [, inverse], by: [dy] }) {
    if (!dy) {
      return [];
    }
    const normal = mul(x, inverse);
    const byScale = mul(dy, normal);
    const projection = mul(normal, weightedMean(byScale, scale));
    return [mul(sub(mul(dy, scale), projection), inverse), sumTo(byScale, scale)];
  },
};
/** A number added to `scale` first: Gemma's weights are stored as scale - 1. */
export const rmsNorm = (x: Tensor, scale: Tensor, epsilon = 1e-6, { scaleOffset = 0 } = {}): Tensor =>
  apply(RmsNorm, [x, scaleOffset === 0 ? scale : add(scale, lift(scaleOffset, scale))], { epsilon })[0];

export const normalisation: readonly AnyOperator[] = [Softmax, LogSoftmax, LayerNorm, RmsNorm];
