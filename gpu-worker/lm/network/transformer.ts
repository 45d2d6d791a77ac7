/** A decoder-only transformer as a function over symbolic tensors. */
import type { Architecture, LayerWeights, ModelWeights } from '../../../shared/models/architecture.ts';
import * as g from '../../graph/index.ts';
import { attention, type LayerCache } from './attention.ts';
import { Grid } from './grid.ts';
import type { HookPoints } from './hook-points.ts';
import { activate, linear, lookUp, norm, type Parameters } from './layers.ts';
import { mixture } from './mixture.ts';
import type { AttentionInputs } from './projections.ts';

type Tensor = g.Tensor;

type TransformerInputs = AttentionInputs & {
  /** int64 [batch, seq]. */
  ids: Tensor;
};

type TransformerOutputs = {
  grid: Grid;
  /** The stream after the final norm, [rows, width] with rows = batch * seq. */
  final: Tensor;
  /** Logits of any rows of the final stream: [n, width] -> [n, vocabulary]. */
  logits(final: Tensor): Tensor;
  /** Of each layer. */
  caches: LayerCache[];
};

/** Embeddings, blocks and final norm; `hookPoints` reads and rewrites the hook points on the way. */
export function transformer(
  a: Architecture,
  weights: ModelWeights,
  get: Parameters,
  inputs: TransformerInputs,
  hookPoints: HookPoints,
): TransformerOutputs {
  const grid = new Grid(inputs.ids);
  let stream = grid.join(lookUp(get, weights.embedding, inputs.ids, a.paddingToken), a.width);
  if (a.embeddingScale !== 1) {
    stream = g.mul(stream, a.embeddingScale);
  }
  if (weights.positions) {
    stream = g.add(stream, grid.join(lookUp(get, weights.positions, inputs.positions), a.width));
  }
  const caches: LayerCache[] = [];
  for (const [layer, layerWeights] of weights.layers.entries()) {
    const { out, cache } = block(a, layer, layerWeights, get, stream, grid, inputs, hookPoints);
    stream = out;
    caches.push(cache);
  }
  return {
    final: norm(a, weights.finalNorm, get, inputs.streams?.logits(stream) ?? stream),
    logits: (final) => headLogits(a, weights, get, final),
    caches,
    grid,
  };
}

/** Logits of what the last norm gives, capped where the model caps them. */
export function headLogits(a: Architecture, weights: ModelWeights, get: Parameters, final: Tensor): Tensor {
  const logits = linear(weights.head, get, final);
  return a.logitCap === null ? logits : g.mul(g.tanh(g.mul(logits, 1 / a.logitCap)), a.logitCap);
}

/** One block: the stream that leaves it and its new keys and values. */
export function block(
  a: Architecture,
  layer: number,
  weights: LayerWeights,
  get: Parameters,
  stream: Tensor,
  grid: Grid,
  inputs: AttentionInputs,
  hookPoints: HookPoints,
): { out: Tensor; cache: LayerCache } {
  const before = grid.at(hookPoints, 'resid_pre', layer, stream);
  const normed = weights.attentionNorm ? norm(a, weights.attentionNorm, get, before) : before;
  const { out, cache } = attention(
    { a, layer, weights, get, norm: (which, x) => norm(a, which, get, x), grid, inputs, hookPoints },
    inputs.streams ? before : normed,
  );
  const attended = grid.at(
    hookPoints,
    'attn_out',
    layer,
    weights.postAttentionNorm ? norm(a, weights.postAttentionNorm, get, out) : out,
  );
  const entering = (stream: Tensor) => inputs.streams?.mlp(layer, stream) ?? stream;
  if (a.parallel) {
    const fed = mlp(a, layer, weights, get, entering(before), grid, hookPoints);
    return { out: grid.at(hookPoints, 'resid_post', layer, g.add(g.add(fed, attended), before)), cache };
  }
  const middle = grid.at(hookPoints, 'resid_mid', layer, g.add(before, attended));
  const fed = mlp(a, layer, weights, get, entering(middle), grid, hookPoints);
  return { out: grid.at(hookPoints, 'resid_post', layer, g.add(middle, fed)), cache };
}

/** The MLP half of a block for the stream x, norms included: what is added to the stream. */
export function mlp(
  a: Architecture,
  layer: number,
  weights: LayerWeights,
  get: Parameters,
  x: Tensor,
  grid: Grid,
  hookPoints: HookPoints,
): Tensor {
  const normed = weights.mlpNorm ? norm(a, weights.mlpNorm, get, x) : x;
  const out = weights.experts
    ? mixture(a, weights.experts, get, normed, (logits) => grid.at(hookPoints, 'router', layer, logits))
    : plain(a, weights, get, normed, (active) => grid.at(hookPoints, 'mlp_act', layer, active));
  return grid.at(hookPoints, 'mlp_out', layer, weights.postMlpNorm ? norm(a, weights.postMlpNorm, get, out) : out);
}

/** One MLP; `at` is the hook point of its activations. */
function plain(a: Architecture, weights: LayerWeights, get: Parameters, x: Tensor, at: (x: Tensor) => Tensor): Tensor {
  const { gate, up, down, mlpSubNorm } = weights;
  if (!up || !down) {
    throw new RangeError('a layer without experts has matrices of its own');
  }
  const both = linear(up, get, x);
  const [first, second] = weights.gateInUp
    ? g.split(both, [a.mlpWidth, a.mlpWidth])
    : [gate && linear(gate, get, x), both];
  const gated = first && second ? g.mul(activate(a.activation, first), second) : activate(a.activation, both);
  const activations = at(gated);
  return linear(down, get, mlpSubNorm ? norm(a, mlpSubNorm, get, activations) : activations);
}
