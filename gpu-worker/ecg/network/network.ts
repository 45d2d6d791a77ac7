/**
 * The U-shaped transformer as a graph. Parameters have the names and orientations of the reference files (matrices out x
 * in). Tensors are [batch, tokens, channels] between the convolutions, which want [batch, channels, tokens].
 */
import * as g from '../../graph/index.ts';
import { attention, ones, uniform, zeros } from '../../nn/index.ts';
import { HEAD_WIDTH, type NetworkConfiguration, STAGES } from './configuration.ts';

/** What the graph gives for `input` [batch, leads + conditions, window]. */
type NetworkOutputs = {
  /** [batch, leads, window] */
  output: g.Tensor;
  /** E of equation (2), [batch, width, window]. */
  embedding: g.Tensor;
};

export function network(config: NetworkConfiguration, input: g.Tensor): NetworkOutputs {
  const { window, width, depth } = config;
  const channels = (stage: number) => width * 2 ** stage;
  const tokens = (stage: number) => window / 2 ** stage;
  const table = (stage: number) => relativeBias(`bias${stage + 1}`, tokens(stage), channels(stage) / HEAD_WIDTH);
  const biases = new Map([
    [2, table(2)],
    [3, table(3)],
  ]);
  const stack = (name: string, z: g.Tensor, bias?: g.Tensor): g.Tensor => {
    let state = z;
    for (let b = 0; b < depth; b++) {
      state = block(`${name}.${b}`, state, bias);
    }
    return state;
  };
  const embedding = config.embed === 'channel' ? channelEmbedding(config, input) : tokenEmbedding(config, input);
  const begin = g.transpose(embedding, [0, 2, 1]);
  let z = begin;
  const skips: g.Tensor[] = [begin];
  for (let stage = 0; stage < STAGES; stage++) {
    z = merge(`merge${stage + 1}`, stack(`down${stage + 1}`, z, biases.get(stage)));
    skips.push(z);
  }
  z = g.add(stack('bottleneck', z), skips[STAGES]!);
  for (let stage = STAGES; stage > 0; stage--) {
    // `up4` works at the size of the bottleneck, so the tables serve the stage of their own number of tokens.
    z = separate(`separate${stage}`, stack(`up${stage}`, z, biases.get(stage)), config.separate);
    z = g.add(z, skips[stage - 1]!);
  }
  return { output: outputConvolution(config, g.transpose(z, [0, 2, 1])), embedding };
}

/** Uniform within 1 / sqrt(inputs), the usual start of linear maps and convolutions. */
const start = (inputs: number) => uniform(1 / Math.sqrt(inputs));

function dense(name: string, x: g.Tensor, outputs: number, { bias = true } = {}): g.Tensor {
  const inputs = x.shape.at(-1) as number;
  const y = g.matmul(x, g.parameter(`${name}.weight`, [outputs, inputs], start(inputs)), { transB: true });
  return bias ? g.add(y, g.parameter(`${name}.bias`, [outputs], zeros)) : y;
}

function normalised(name: string, x: g.Tensor): g.Tensor {
  const width = x.shape.at(-1)!;
  return g.layerNorm(x, g.parameter(`${name}.weight`, [width], ones), g.parameter(`${name}.bias`, [width], zeros));
}

/** Equation (3): attention over normalised, position-coded tokens, then the two-layer map; both beside a skip. */
function block(name: string, z: g.Tensor, bias?: g.Tensor): g.Tensor {
  const [, tokens, width] = z.shape as [number, number, number];
  const coded = g.add(g.mul(z, Math.sqrt(width)), positions(tokens, width));
  const x = normalised(`${name}.norm1`, coded);
  const [q, k, v] = ['q', 'k', 'v'].map((part) => dense(`${name}.attn.${part}`, x, width)) as [
    g.Tensor,
    g.Tensor,
    g.Tensor,
  ];
  const mixed = attention([q, k, v], width / HEAD_WIDTH, undefined, bias);
  const h = g.add(z, dense(`${name}.attn.o`, mixed, width));
  const inner = g.gelu(dense(`${name}.mlp.in`, normalised(`${name}.norm2`, h), 4 * width));
  return g.add(h, dense(`${name}.mlp.out`, inner, width));
}

/** Sinusoids [tokens, width]: even channels sin, odd ones cos of t / 10000^(2i / width). */
function positions(tokens: number, width: number): g.Tensor {
  const values = new Float64Array(tokens * width);
  for (let t = 0; t < tokens; t++) {
    for (let c = 0; c < width; c++) {
      const angle = t / 10000 ** ((2 * Math.floor(c / 2)) / width);
      values[t * width + c] = c % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
    }
  }
  return g.constant(values, [tokens, width]);
}

/** A learned table [2 tokens - 1, heads] spread to [heads, tokens, tokens]: row i - j + tokens - 1 at (i, j). */
function relativeBias(name: string, tokens: number, heads: number): g.Tensor {
  const rows = BigInt64Array.from({ length: tokens * tokens }, (_, n) =>
    BigInt(Math.floor(n / tokens) - (n % tokens) + tokens - 1),
  );
  const table = g.parameter(name, [2 * tokens - 1, heads], zeros);
  const spread = g.gather(table, g.constant(rows, [tokens * tokens], 'int64'), 0);
  return g.reshape(g.transpose(spread), [heads, tokens, tokens]);
}

/** Equation (4): two neighbours side by side, normalised and mapped. */
function merge(name: string, z: g.Tensor): g.Tensor {
  const pairs = mergeTokens(z);
  return dense(name, normalised(`${name}.norm`, pairs), pairs.shape[2] as number, { bias: false });
}
/** [batch, T, d] -> [batch, T / 2, 2 d]. */
function mergeTokens(z: g.Tensor): g.Tensor {
  const [batch, tokens, width] = z.shape as [g.Dim, number, number];
  return g.reshape(z, [batch, tokens / 2, 2 * width]);
}

/** Equation (5b) or (5a): one token becomes two of half the width. */
function separate(name: string, z: g.Tensor, order: NetworkConfiguration['separate']): g.Tensor {
  const halves = separateTokens(z, order);
  return dense(name, normalised(`${name}.norm`, halves), halves.shape[2] as number, { bias: false });
}
/** [batch, T, d] -> [batch, 2 T, d / 2]: `inverse` undoes `mergeTokens`, `halves` puts all second halves last. */
function separateTokens(z: g.Tensor, order: NetworkConfiguration['separate']): g.Tensor {
  const [batch, tokens, width] = z.shape as [g.Dim, number, number];
  if (order === 'inverse') {
    return g.reshape(z, [batch, 2 * tokens, width / 2]);
  }
  return g.concat([g.slice(z, 2, 0, width / 2), g.slice(z, 2, width / 2, width)], 1);
}

/** Weights of one size in the middle of zeros, so that all sizes are one convolution. */
const widened = (weight: g.Tensor, kernel: number, widest: number): g.Tensor =>
  kernel === widest ? weight : g.pad(weight, 2, (widest - kernel) / 2, (widest - kernel) / 2);

/** Equation (2): convolutions of several sizes side by side, joined over channels. */
function channelEmbedding({ leads, conditions, width, kernels }: NetworkConfiguration, input: g.Tensor): g.Tensor {
  const inputs = leads + conditions;
  const widest = Math.max(...kernels);
  const each = width / kernels.length;
  const names = kernels.map((kernel) => `embed.conv${kernel}`);
  const weights = kernels.map((kernel, i) =>
    widened(g.parameter(`${names[i]}.weight`, [each, inputs, kernel], start(inputs * kernel)), kernel, widest),
  );
  const biases = names.map((name) => g.parameter(`${name}.bias`, [each], zeros));
  const y = g.conv1d(input, g.concat(weights, 0), { padding: (widest - 1) / 2 });
  return g.add(y, g.reshape(g.concat(biases, 0), [width, 1]));
}

/** The second reading of "multi-scale": strided convolutions joined over time, then a linear map of the tokens. */
function tokenEmbedding(
  { leads, conditions, width, window, patches }: NetworkConfiguration,
  input: g.Tensor,
): g.Tensor {
  const inputs = leads + conditions;
  const parts = patches.map((patch) => {
    const name = `embed.patch${patch}`;
    const weight = g.parameter(`${name}.weight`, [width, inputs, patch], start(inputs * patch));
    const bias = g.parameter(`${name}.bias`, [width], zeros);
    return g.add(g.conv1d(input, weight, { stride: patch }), g.reshape(bias, [width, 1]));
  });
  const joined = g.concat(parts, 2);
  const [have, want] = [joined.shape[2] as number, window + window / 8];
  const before = Math.floor((want - have) / 2);
  const padded = g.pad(joined, 2, before, want - have - before);
  return dense('embed.tokens', padded, window);
}

/** Equation (6): the sum of transposed convolutions of all sizes, which is one with the sum of the widened weights. */
function outputConvolution({ leads, width, kernels, output_scale }: NetworkConfiguration, z: g.Tensor): g.Tensor {
  const widest = Math.max(...kernels);
  const names = kernels.map((kernel) => `output.conv${kernel}`);
  const weights = kernels.map((kernel, i) =>
    widened(g.parameter(`${names[i]}.weight`, [width, leads, kernel], start(leads * kernel)), kernel, widest),
  );
  const biases = names.map((name) => g.parameter(`${name}.bias`, [leads], zeros));
  const sum = g.transposedConv1d(z, g.addAll(weights), { padding: (widest - 1) / 2 });
  return g.mul(g.add(sum, g.reshape(g.addAll(biases), [leads, 1])), output_scale);
}
