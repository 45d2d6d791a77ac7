/** Self-attention of one block: projections, rotary embedding, scores, and the heads' sum. */

import type { Architecture, LayerWeights, Linear } from '../../shared/models/architecture.ts';
import type { HookKind } from '../../shared/models/hooks.ts';
import * as g from '../graph/index.ts';
import { fusedAttention, fusedTurns } from './fused-attention.ts';
import type { Grid } from './grid.ts';
import { linear, norm, type Parameters, value } from './layers.ts';
import { rotary } from './rotary.ts';
import type { Sites } from './sites.ts';
import { splitSoftmax } from './split-softmax.ts';

type Tensor = g.Tensor;

/** What attention reads besides the stream. */
export type AttentionInputs = {
  /** int64 [batch, seq]: index of each token among its row's real tokens. */
  positions: Tensor;
  /** Tables [positions, dims/2] of families with rotary embedding. */
  rotary: { cosines: Tensor; sines: Tensor } | null;
  /**
   * Added to the scores, broadcasting to [batch, 1, 1, seq, seq]: 0 where a query may look, very negative elsewhere; null
   * where every query may look everywhere.
   */
  mask(layer: number): Tensor | null;
  /** Keys and values of earlier positions, [batch, kvHeads, past, headDim], and their part of the mask. */
  past: null | { keys: Tensor; values: Tensor; mask: Tensor | null }[];
  /**
   * Where present, attention is the runtime's own node, which knows causal masks and windows only: `mask` and the mask
   * of `past` are not read, and rows begin at position 0. See `FusedInputs`.
   */
  fused: null | { last: Tensor; total: Tensor };
};

/** Keys and values of the new positions, [batch, seq, kvHeads * headDim]. */
export type LayerCache = { keys: Tensor; values: Tensor };

/**
 * The attention half of block `layer` for normed input x [rows, width]: what the output projection gives, before any
 * post-norm; and the new keys and values.
 */
export function attention(
  a: Architecture,
  layer: number,
  weights: LayerWeights,
  get: Parameters,
  x: Tensor,
  grid: Grid,
  inputs: AttentionInputs,
  sites: Sites,
): { out: Tensor; cache: LayerCache } {
  const { heads, headDim } = a;
  const { batch, seq } = grid;
  const at = (kind: HookKind, rows: Tensor) => grid.at(sites, kind, layer, rows);

  const projected = project(a, weights, get, x, grid);
  // Where keys are kept, they are kept turned.
  const turnsItself =
    inputs.fused !== null && inputs.past === null && a.rope !== null && fusedTurns(headDim, a.rope.dims);
  const rotate = (vectors: Tensor, count: number, which: 'queryNorm' | 'keyNorm') => {
    const normed = weights[which] ? norm(a, weights[which], get, grid.split(vectors, [count, headDim])) : vectors;
    const shaped = grid.shaped(normed, [batch, seq, count * headDim]);
    if (!inputs.rotary || !a.rope || turnsItself) return shaped;
    return rotary(shaped, inputs.positions, inputs.rotary, { heads: count, headDim, dims: a.rope.dims });
  };
  const q = rotate(at('q', projected.q), heads, 'queryNorm');
  const k = rotate(at('k', projected.k), a.kvHeads, 'keyNorm');
  const v = grid.split(at('v', projected.v));

  const mixed = inputs.fused
    ? fusedAttention(
        { q, k, v, past: inputs.past?.[layer] ?? null, tables: turnsItself ? inputs.rotary : null, ...inputs.fused },
        {
          heads,
          kvHeads: a.kvHeads,
          headDim,
          scale: a.attentionScale[layer]!,
          cap: a.attentionCap,
          window: a.windows[layer]!,
          dims: turnsItself ? a.rope!.dims : 0,
        },
      )
    : spelledOut(a, layer, { q, k, v }, grid, inputs, sites);
  const joined = grid.join(mixed, heads * headDim);
  const z = weights.attentionSubNorm ? norm(a, weights.attentionSubNorm, get, joined) : joined;
  return { out: byHeads(a, layer, weights.output, get, z, grid, sites), cache: { keys: k, values: v } };
}

/** Scores, softmax and sums from turned q, k and v [batch, seq, heads * headDim], with any mask and a gradient. */
function spelledOut(
  a: Architecture,
  layer: number,
  { q, k, v }: Record<'q' | 'k' | 'v', Tensor>,
  grid: Grid,
  inputs: AttentionInputs,
  sites: Sites,
): Tensor {
  const { heads, kvHeads, headDim } = a;
  const group = heads / kvHeads;
  const { batch, seq } = grid;
  // Queries that share a key/value head become rows of one product: [batch, kvHeads, group * seq, headDim].
  const rows = typeof seq === 'number' ? group * seq : group === 1 ? seq : `${group}*${seq}`;
  const queries = g.reshape(g.transpose(g.reshape(q, [batch, seq, kvHeads, group, headDim]), [0, 2, 3, 1, 4]), [
    batch,
    kvHeads,
    rows,
    headDim,
  ]);
  const byHead = (rows: Tensor) => g.transpose(g.reshape(rows, [batch, seq, kvHeads, headDim]), [0, 2, 1, 3]);
  const [keys, values] = [byHead(k), byHead(v)];

  const scores = (keys: Tensor, length: g.Dim, mask: Tensor | null) => {
    const raw = g.matmul(queries, keys, { transB: true, alpha: a.attentionScale[layer]! });
    const capped = a.attentionCap === null ? raw : g.mul(g.tanh(g.mul(raw, 1 / a.attentionCap)), a.attentionCap);
    const shaped = g.reshape(capped, [batch, kvHeads, group, seq, length], keys);
    return mask ? g.add(shaped, mask) : shaped;
  };
  const flat = (weight: Tensor, length: g.Dim) => g.reshape(weight, [batch, kvHeads, rows, length]);

  let mixed: Tensor;
  const past = inputs.past?.[layer];
  if (past) {
    const length = past.keys.shape[2]!;
    const [before, now] = splitSoftmax(scores(past.keys, length, past.mask), scores(keys, seq, inputs.mask(layer)));
    mixed = g.add(g.matmul(flat(before, length), past.values), g.matmul(flat(now, seq), values));
  } else {
    const probabilities = g.softmax(scores(keys, seq, inputs.mask(layer)));
    mixed = g.matmul(
      sites.has('attn_pattern', layer)
        ? flat(sites.at('attn_pattern', layer, g.reshape(probabilities, [batch, heads, seq, seq])), seq)
        : flat(probabilities, seq),
      values,
    );
  }
  return g.transpose(grid.shaped(mixed, [batch, kvHeads, group, seq, headDim]), [0, 3, 1, 2, 4]);
}

/** Queries [rows, heads * headDim], keys and values [rows, kvHeads * headDim], biases included. */
function project(
  a: Architecture,
  weights: LayerWeights,
  get: Parameters,
  x: Tensor,
  grid: Grid,
): Record<'q' | 'k' | 'v', Tensor> {
  const { qkv } = weights;
  if ('q' in qkv) return { q: linear(qkv.q, get, x), k: linear(qkv.k, get, x), v: linear(qkv.v, get, x) };
  const all = linear(qkv.fused, get, x);
  const width = a.heads * a.headDim;
  const blocks =
    qkv.order === 'blocks'
      ? g.split(all, [width, width, width])
      : g
          .split(g.reshape(all, [...grid.lead, a.heads, 3 * a.headDim]), [a.headDim, a.headDim, a.headDim])
          .map((part) => g.reshape(part, [...grid.lead, width]));
  return { q: blocks[0]!, k: blocks[1]!, v: blocks[2]! };
}

/** The output projection; where a head is watched, its own share is computed and what an edit changes is added. */
function byHeads(
  a: Architecture,
  layer: number,
  output: Linear,
  get: Parameters,
  z: Tensor,
  grid: Grid,
  sites: Sites,
): Tensor {
  let out = linear(output, get, z);
  for (let head = 0; head < a.heads; head++) {
    if (!sites.has('head_out', layer, head)) continue;
    const [from, to] = [head * a.headDim, (head + 1) * a.headDim];
    const weight = value(get, output.weight);
    const share =
      output.layout === 'out_in'
        ? g.matmul(g.slice(z, -1, from, to), g.slice(weight, 1, from, to), { transB: true })
        : g.matmul(g.slice(z, -1, from, to), g.slice(weight, 0, from, to));
    const edited = grid.at(sites, 'head_out', layer, share, head);
    if (edited !== share) out = g.add(out, g.sub(edited, share));
  }
  return out;
}
