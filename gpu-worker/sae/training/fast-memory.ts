/** What the fast path keeps in the kernels' shared memory. Rows are padded with zeros to a multiple of four values. */
import type { SaeParameters } from '../codes/parameters.ts';
import type { SaeConfiguration } from './configuration.ts';
import { KernelPool } from './wasm/pool.ts';

/** Weights, or values of their kind such as moments: width rows of `stride` values in both matrices. */
type WeightArrays = {
  encoder: Float32Array;
  encoderBias: Float32Array;
  decoder: Float32Array;
  decoderBias: Float32Array;
};

export const strideOf = (inputs: number): number => Math.ceil(inputs / 4) * 4;

/** Largest number of codes of a step, those of dead latents included. */
function entriesOf({ k, width, auxiliaryWeight, auxiliaryLatents }: SaeConfiguration, batch: number): number {
  return batch * (k + (auxiliaryWeight > 0 ? Math.min(auxiliaryLatents, width) : 0));
}

/** All arrays of a trainer, in one pool of threads. */
export function fastMemory(configuration: SaeConfiguration, batch: number, threads: number) {
  const { inputs, width, subtractBias } = configuration;
  const stride = strideOf(inputs);
  const entries = entriesOf(configuration, batch);
  const [matrix, rows] = [width * stride, batch * stride];
  const words = 8 * matrix + 4 * rows + 14 * (width + stride) + 7 * entries + 5 * batch;
  const pool = new KernelPool(4 * words + 4096, threads);
  const weights = (): WeightArrays => ({
    encoder: pool.floats(matrix),
    encoderBias: pool.floats(Math.ceil(width / 4) * 4),
    decoder: pool.floats(matrix),
    decoderBias: pool.floats(stride),
  });
  return {
    pool,
    weights: weights(),
    first: weights(),
    second: weights(),
    gradient: weights(),
    /** x - b where the encoder sees x itself, else null. */
    source: subtractBias ? null : pool.floats(rows),
    arrays: {
      inputs: pool.floats(rows),
      errors: pool.floats(2 * rows),
      losses: pool.floats(2 * batch),
      starts: pool.integers(2 * batch + 1),
      index: pool.integers(entries),
      values: pool.floats(entries),
      gradients: pool.floats(entries),
      offsets: pool.integers(width + 1),
      cursor: pool.integers(width),
      fired: pool.integers(width),
      rowOf: pool.integers(entries),
      codeOf: pool.floats(entries),
      gradientOf: pool.floats(entries),
      norms: pool.doubles(width),
    },
    /** The runtime refuses tensors over shared memory: copies for it. */
    copies: { x: new Float32Array(rows), encoder: new Float32Array(matrix) },
  };
}

/** Writes rows of `inputs` values as rows of the padded length. */
export function padRows(target: Float32Array, source: Float32Array, inputs: number): void {
  const stride = strideOf(inputs);
  if (stride === inputs) {
    target.set(source);
  } else {
    for (let row = 0; row * inputs < source.length; row++) {
      target.set(source.subarray(row * inputs, (row + 1) * inputs), row * stride);
    }
  }
}

export function loadWeights(target: WeightArrays, p: SaeParameters): void {
  padRows(target.encoder, p.encoder, p.inputs);
  padRows(target.decoder, p.decoder, p.inputs);
  target.encoderBias.set(p.encoderBias);
  target.decoderBias.set(p.decoderBias);
}

/** Copies, without padding. */
export function unloadWeights(source: WeightArrays, { inputs, width }: SaeConfiguration): SaeParameters {
  const stride = strideOf(inputs);
  const rows = (padded: Float32Array) => {
    const out = new Float32Array(width * inputs);
    for (let row = 0; row < width; row++) {
      out.set(padded.subarray(row * stride, row * stride + inputs), row * inputs);
    }
    return out;
  };
  return {
    inputs,
    width,
    encoder: rows(source.encoder),
    encoderBias: source.encoderBias.slice(0, width),
    decoder: rows(source.decoder),
    decoderBias: source.decoderBias.slice(0, inputs),
    threshold: null,
  };
}
