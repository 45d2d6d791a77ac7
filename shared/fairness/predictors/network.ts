/** Small dense networks in float64: what an edited layer lives in. */
import { dataError, requireFinite } from '../data-error.ts';

export const ACTIVATIONS = ['identity', 'relu', 'tanh', 'logistic'] as const;
export type Activation = (typeof ACTIVATIONS)[number];
/** y = activation(W x + b), W (outputs x inputs, row-major). */
export type DenseLayer = {
  inputs: number;
  outputs: number;
  weights: Float64Array;
  bias: Float64Array;
  activation: Activation;
};
export type DenseNetwork = readonly DenseLayer[];

/** Raises `data_invalid` (weights_misfit, value_not_finite) unless the layers fit each other and end in one output. */
export function checkNetwork(layers: DenseNetwork): void {
  layers.forEach((layer, l) => {
    const { inputs, outputs, weights, bias } = layer;
    if (!(inputs >= 1 && outputs >= 1)) {
      throw dataError('weights_misfit', `/layers/${l}`, `layer ${l} is ${outputs} x ${inputs}: it holds nothing`);
    }
    const before = layers[l - 1]?.outputs ?? inputs;
    if (inputs !== before) {
      throw dataError(
        'weights_misfit',
        `/layers/${l}`,
        `layer ${l} takes ${inputs} values, the one before gives ${before}`,
      );
    }
    if (weights.length !== inputs * outputs || bias.length !== outputs) {
      throw dataError(
        'weights_misfit',
        `/layers/${l}`,
        `layer ${l} needs ${outputs} x ${inputs} weights and ${outputs} biases`,
      );
    }
    requireFinite(weights, `/layers/${l}/weights`);
    requireFinite(bias, `/layers/${l}/bias`);
  });
  const last = layers.at(-1);
  if (last?.outputs !== 1) {
    throw dataError('weights_misfit', `/layers/${layers.length - 1}`, 'the last layer must have one output');
  }
}

export const activate = (values: Float64Array, activation: Activation): void => {
  switch (activation) {
    case 'identity':
      return;
    case 'relu':
      for (let i = 0; i < values.length; i++) {
        if (values[i]! < 0) {
          values[i] = 0;
        }
      }
      return;
    case 'tanh':
      for (let i = 0; i < values.length; i++) {
        values[i] = Math.tanh(values[i]!);
      }
      return;
    case 'logistic':
      for (let i = 0; i < values.length; i++) {
        values[i] = 1 / (1 + Math.exp(-values[i]!));
      }
      return;
    default:
      activation satisfies never;
  }
};

/** Rows taken together by `forwardLayer`, so that a weight is read once for several rows. */
const BLOCK = 4;

/** Pre-activations W x + b for `n` rows (n x inputs, row-major) into `out` (n x outputs). */
export function forwardLayer(
  { inputs, outputs, weights, bias }: DenseLayer,
  rows: Float64Array,
  n: number,
  out: Float64Array,
): void {
  let i = 0;
  for (; i + BLOCK <= n; i += BLOCK) {
    const [r0, r1, r2, r3] = [i * inputs, (i + 1) * inputs, (i + 2) * inputs, (i + 3) * inputs];
    for (let o = 0; o < outputs; o++) {
      const base = o * inputs;
      let s0 = bias[o]!;
      let s1 = s0;
      let s2 = s0;
      let s3 = s0;
      for (let j = 0; j < inputs; j++) {
        const w = weights[base + j]!;
        s0 += w * rows[r0 + j]!;
        s1 += w * rows[r1 + j]!;
        s2 += w * rows[r2 + j]!;
        s3 += w * rows[r3 + j]!;
      }
      const at = i * outputs + o;
      out[at] = s0;
      out[at + outputs] = s1;
      out[at + 2 * outputs] = s2;
      out[at + 3 * outputs] = s3;
    }
  }
  for (; i < n; i++) {
    for (let o = 0; o < outputs; o++) {
      let sum = bias[o]!;
      for (let j = 0; j < inputs; j++) {
        sum += weights[o * inputs + j]! * rows[i * inputs + j]!;
      }
      out[i * outputs + o] = sum;
    }
  }
}

/**
 * Activations that enter layer number `until` (or the network's outputs) for `rows` (n x inputs). Works through the rows
 * in chunks, so that no more than a few thousand rows of hidden activations exist at a time.
 */
export function forwardNetwork(
  layers: DenseNetwork,
  rows: Float64Array,
  n: number,
  until = layers.length,
): Float64Array {
  const width = until === 0 ? (layers[0]?.inputs ?? 0) : layers[until - 1]!.outputs;
  const out = new Float64Array(n * width);
  const inputs = layers[0]?.inputs ?? 0;
  const chunk = 2048;
  for (let from = 0; from < n; from += chunk) {
    const count = Math.min(chunk, n - from);
    let current = rows.subarray(from * inputs, (from + count) * inputs);
    for (let l = 0; l < until; l++) {
      const next = new Float64Array(count * layers[l]!.outputs);
      forwardLayer(layers[l]!, current, count, next);
      activate(next, layers[l]!.activation);
      current = next;
    }
    out.set(current, from * width);
  }
  return out;
}

/** Multiply-adds per row. */
export const networkSize = (layers: DenseNetwork): number =>
  layers.reduce((sum, l) => sum + l.outputs * (l.inputs + 1), 0);
