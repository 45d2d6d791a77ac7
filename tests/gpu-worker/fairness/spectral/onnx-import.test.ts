import { describe, expect, it } from 'vitest';
import { importOnnxNetwork } from '../../../../gpu-worker/fairness/spectral/onnx-import.ts';
import { encodeModel, type OnnxGraph, type OnnxNode, type OnnxTensor } from '../../../../gpu-worker/onnx/model.ts';
import { forwardNetwork } from '../../../../shared/fairness/predictors/network.ts';
import { stream } from '../../../../shared/math/random.ts';

const tensor = (name: string, dims: number[]): OnnxTensor & { values: Float32Array } => {
  const values = stream(1, name).normal32(dims.reduce((a, b) => a * b, 1));
  return { name, type: 'float32', dims, data: { raw: new Uint8Array(values.buffer) }, values };
};
const model = (nodes: OnnxNode[], initializers: OnnxTensor[]): Uint8Array => {
  const graph: OnnxGraph = {
    name: 'g',
    nodes,
    initializers,
    inputs: [{ name: 'x', type: 'float32', shape: ['n', 3] }],
    outputs: [{ name: 'y', type: 'float32', shape: ['n', 1] }],
  };
  return encodeModel(graph);
};
const [w0, b0, w1, b1] = [tensor('w0', [4, 3]), tensor('b0', [4]), tensor('w1', [4, 1]), tensor('b1', [1])];
const good: OnnxNode[] = [
  { type: 'Gemm', inputs: ['x', 'w0', 'b0'], outputs: ['h'], attributes: { transB: 1, alpha: { float: 0.5 } } },
  { type: 'Relu', inputs: ['h'], outputs: ['r'] },
  { type: 'MatMul', inputs: ['r', 'w1'], outputs: ['m'] },
  { type: 'Add', inputs: ['m', 'b1'], outputs: ['y'] },
];

// Dimensions of 7 GB of weights, with eight bytes behind them.
const huge: OnnxTensor = { name: 'huge', type: 'int64', dims: [30_000, 30_000], data: { raw: new Uint8Array(8) } };
const counts: OnnxTensor = { name: 'counts', type: 'int64', dims: [1], data: { raw: new Uint8Array(8) } };

describe('ONNX networks', () => {
  it('are read with their layouts, factors, biases and activations', () => {
    const network = importOnnxNetwork(model(good, [w0, b0, w1, b1]));
    expect(network.map((l) => [l.inputs, l.outputs, l.activation])).toEqual([
      [3, 4, 'relu'],
      [4, 1, 'identity'],
    ]);
    const x = stream(2, 'x').normal(3);
    const hidden = Array.from({ length: 4 }, (_, o) => {
      const sum = [0, 1, 2].reduce((s, i) => s + 0.5 * w0.values[3 * o + i]! * x[i]!, b0.values[o]!);
      return Math.max(0, sum);
    });
    const expected = hidden.reduce((s, h, o) => s + h * w1.values[o]!, b1.values[0]!);
    expect(forwardNetwork(network, x, 1)[0]).toBeCloseTo(expected, 12);
  });

  it.each([
    [/operator Conv/, [{ type: 'Conv', inputs: ['x', 'w0'], outputs: ['y'] }]],
    [/is no chain/, [good[0]!, { type: 'Relu', inputs: ['x'], outputs: ['r'] }]],
    [/no dense layer/, []],
    [/weight matrix on its right/, [{ type: 'MatMul', inputs: ['w0', 'x'], outputs: ['y'] }]],
    [/transposes/, [{ ...good[0]!, attributes: { transA: 1 } }]],
    [/no bias/, [good[0]!, { type: 'Add', inputs: ['h', 'b1'], outputs: ['y'] }]],
    [/bias is computed/, [good[0]!, { type: 'Gemm', inputs: ['h', 'w1', 'x'], outputs: ['y'] }]],
    [/operator Cast/, [good[0]!, { type: 'Cast', inputs: ['h'], outputs: ['i'], attributes: { to: 7 } }]],
    [/answers with y/, good.slice(0, 3)],
    [/another type/, [{ type: 'MatMul', inputs: ['x', 'huge'], outputs: ['y'] }]],
    [/bias of 0/, [good[0]!, { type: 'Gemm', inputs: ['h', 'w1', 'counts'], outputs: ['y'] }]],
  ] as [RegExp, OnnxNode[]][])('are refused otherwise: %s', (message, nodes) => {
    expect(() => importOnnxNetwork(model(nodes, [w0, b0, w1, b1, huge, counts]))).toThrow(message);
  });

  it('survive no damage silently', () => {
    const bytes = model(good, [w0, b0, w1, b1]);
    for (let cut = 1; cut < bytes.length; cut += 7) {
      expect(() => importOnnxNetwork(bytes.slice(0, cut))).toThrow(expect.objectContaining({ code: 'data_invalid' }));
    }
    expect(() => importOnnxNetwork(new TextEncoder().encode('not a model'))).toThrow(
      expect.objectContaining({ code: 'data_invalid' }),
    );
  });
});
