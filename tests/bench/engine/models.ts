/** The training steps that the engine is measured on. FLOP counts are of the matrix products, forward and backward. */
import * as g from '../../../gpu-worker/graph/index.ts';
import { attention, embedding, fanIn, layerNorm, linear, unitRows, zeros } from '../../../gpu-worker/nn/index.ts';

export type Model = {
  name: string;
  loss: g.Tensor;
  flop: number;
  /** Feeds of `steps` steps. */
  feeds(steps: number): Record<string, g.HostArray>;
};

const noise = (n: number): Float32Array => {
  const out = new Float32Array(n);
  let state = 12345;
  for (let i = 0; i < n; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    out[i] = state / 2 ** 31 - 1;
  }
  return out;
};
const tokens = (n: number, vocabulary: number): BigInt64Array =>
  BigInt64Array.from(noise(n), (value) => BigInt(Math.floor(((value + 1) / 2) * vocabulary) % vocabulary));

/** AbsTopK sparse autoencoder in dense form. */
export function sae(batch: number, width: number, latents: number, k: number): Model {
  const x = g.input('x', [batch, width]);
  const wEnc = g.parameter('w_enc', [width, latents], fanIn(-2));
  const bEnc = g.parameter('b_enc', [latents], zeros);
  const wDec = g.parameter('w_dec', [latents, width], unitRows);
  const bDec = g.parameter('b_dec', [width], zeros);
  const u = g.add(g.matmul(g.sub(x, bDec), wEnc), bEnc);
  const z = g.masked(u, g.topKMask(g.abs(u), k));
  const error = g.sub(g.add(g.matmul(z, wDec), bDec), x);
  return {
    name: `sae ${batch} x ${width} -> ${latents}, k ${k}`,
    loss: g.mean(g.sum(g.square(error), -1)),
    flop: 5 * 2 * batch * width * latents,
    feeds: (steps) => ({ x: noise(steps * batch * width) }),
  };
}

type Shape = { layers: number; width: number; heads: number; batch: number; length: number };

/** Pre-norm blocks with GELU perceptrons of four times the width; x is [batch, length, width]. */
function blocks(x: g.Tensor, { layers, width, heads, length }: Shape, causal: boolean): g.Tensor {
  const mask = causal
    ? g.constant(
        Float32Array.from({ length: length * length }, (_, i) => (i % length > Math.floor(i / length) ? -1e9 : 0)),
        [length, length],
      )
    : undefined;
  let stream = x;
  for (let layer = 0; layer < layers; layer++) {
    const name = `block.${layer}`;
    const normal = layerNorm(`${name}.norm1`, stream);
    const [q, k, v] = ['q', 'k', 'v'].map((part) => linear(`${name}.${part}`, normal, width)) as [
      g.Tensor,
      g.Tensor,
      g.Tensor,
    ];
    stream = g.add(stream, linear(`${name}.out`, attention([q, k, v], heads, mask), width));
    const hidden = g.gelu(linear(`${name}.up`, layerNorm(`${name}.norm2`, stream), 4 * width));
    stream = g.add(stream, linear(`${name}.down`, hidden, width));
  }
  return layerNorm('norm', stream);
}
const blockFlop = ({ layers, width, batch, length }: Shape): number =>
  3 * layers * batch * length * (2 * 12 * width * width + 2 * 2 * length * width);

/** Decoder-only language model. */
export function transformer(shape: Shape, vocabulary: number): Model {
  const { batch, length, width } = shape;
  const ids = g.input('ids', [batch, length], 'int64');
  const targets = g.input('targets', [batch * length], 'int64');
  const position = g.parameter('position', [length, width], fanIn(-1));
  const x = g.add(embedding('token', ids, [vocabulary, width]), position);
  const logits = linear('head', g.flattenRows(blocks(x, shape, true)), vocabulary, { bias: false });
  return {
    name: `transformer ${shape.layers} layers, width ${width}, ${shape.heads} heads, vocabulary ${vocabulary}, ${batch} x ${length}`,
    loss: g.crossEntropy(logits, targets),
    flop: blockFlop(shape) + 3 * 2 * batch * length * width * vocabulary,
    feeds: (steps) => ({
      ids: tokens(steps * batch * length, vocabulary),
      targets: tokens(steps * batch * length, vocabulary),
    }),
  };
}

/** Signals of two channels and 256 samples: two strided convolutions, then a small encoder, two classes. */
export function convolutional(batch: number): Model {
  const [channels, length, width, classes] = [2, 256, 64, 2];
  const x = g.input('x', [batch, channels, length]);
  const y = g.input('y', [batch], 'int64');
  const filters = (name: string, out: number, inputs: number, window: number) =>
    g.parameter(name, [out, inputs, window], (shape, random) =>
      random.normal(out * inputs * window, { deviation: 1 / Math.sqrt(shape[1]! * shape[2]!) }),
    );
  const first = g.gelu(g.conv1d(x, filters('conv1', 32, channels, 7), { stride: 2, padding: 3 }));
  const second = g.gelu(g.conv1d(first, filters('conv2', width, 32, 5), { stride: 2, padding: 2 }));
  const shape = { layers: 2, width, heads: 4, batch, length: second.shape[2] as number };
  const pooled = g.mean(blocks(g.transpose(second, [0, 2, 1]), shape, false), 1);
  const convolutions = 2 * batch * (channels * 7 * 32 * 128 * 2 + 32 * 5 * width * 64 * 3);
  return {
    name: `conv1d + transformer 2 x 256 samples, batch ${batch}`,
    loss: g.crossEntropy(linear('head', pooled, classes), y),
    flop: convolutions + blockFlop(shape) + 3 * 2 * batch * width * classes,
    feeds: (steps) => ({ x: noise(steps * batch * channels * length), y: tokens(steps * batch, classes) }),
  };
}
