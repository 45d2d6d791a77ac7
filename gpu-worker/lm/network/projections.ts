/** What a block's attention is computed of: its projections, with the norms and the rotary embedding of each head. */
import { type Architecture, type LayerWeights, type Norm, ropeOf } from '../../../shared/models/architecture.ts';
import * as g from '../../graph/index.ts';
import type { Grid } from './grid.ts';
import { headProjection } from './head-weights.ts';
import type { HookPoints } from './hook-points.ts';
import { linear, type Parameters, value } from './layers.ts';
import { rotary } from './rotary.ts';

type Tensor = g.Tensor;

/** What attention reads besides the stream. */
export type AttentionInputs = {
  /** int64 [batch, seq]: index of each token among its row's real tokens. */
  positions: Tensor;
  /** Tables [positions, dims/2] of a layer whose queries and keys are turned. */
  rotary(layer: number): { cosines: Tensor; sines: Tensor } | null;
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
  /** Where present, each head reads streams of its own, as do the MLPs and the head of the model. */
  streams?: PartStreams;
};

/** What each part of the model reads, made of the stream as it stands there. */
export type PartStreams = {
  /** Of the stream [rows, width]: one before the norm for each query head, [heads, rows, width]. */
  heads(part: 'q' | 'k' | 'v', layer: number, stream: Tensor): Tensor;
  /** [rows, width] -> [rows, width]. */
  mlp(layer: number, stream: Tensor): Tensor;
  logits(stream: Tensor): Tensor;
};

/** One block's attention: where it is and what it computes with. */
export type AttentionPart = {
  a: Architecture;
  layer: number;
  weights: LayerWeights;
  get: Parameters;
  /** The architecture's norm. */
  norm: (norm: Norm, x: Tensor) => Tensor;
  grid: Grid;
  inputs: AttentionInputs;
  hookPoints: HookPoints;
};

/**
 * Queries [batch, seq, heads * headDim], keys and values [batch, seq, kvHeads * headDim] of x [rows, width], past their
 * hook points; with `turned`, past the rotary embedding too. Where heads read streams of their own, x is before the norm.
 */
export function project(part: AttentionPart, x: Tensor, turned: boolean): Record<'q' | 'k' | 'v', Tensor> {
  const { a, layer, weights, norm, grid, inputs, hookPoints } = part;
  const { heads, kvHeads, headDim } = a;
  const projected = inputs.streams ? headByHead(part, inputs.streams, x) : threeOf(part, x);
  const at = (kind: 'q' | 'k' | 'v') => grid.at(hookPoints, kind, layer, projected[kind]);
  const rotate = (vectors: Tensor, count: number, headNorm: Norm | null) => {
    const whole = headNorm !== null && headNorm.weight.shape[0] !== headDim;
    const split = headNorm && !whole ? grid.split(vectors, [count, headDim]) : vectors;
    const normed = headNorm ? norm(headNorm, split) : vectors;
    const shaped = grid.shaped(normed, [grid.batch, grid.seq, count * headDim]);
    const [tables, rope] = [inputs.rotary(layer), ropeOf(a, layer)];
    if (!turned || !tables || !rope) {
      return shaped;
    }
    return rotary(shaped, inputs.positions, tables, { heads: count, headDim, dims: rope.dims });
  };
  return {
    q: rotate(at('q'), heads, weights.queryNorm),
    k: rotate(at('k'), kvHeads, weights.keyNorm),
    v: grid.split(at('v')),
  };
}

/** Queries, keys and values as rows, biases included. */
function threeOf({ a, weights: { qkv }, get, grid }: AttentionPart, x: Tensor): Record<'q' | 'k' | 'v', Tensor> {
  if ('q' in qkv) {
    return { q: linear(qkv.q, get, x), k: linear(qkv.k, get, x), v: linear(qkv.v, get, x) };
  }
  const all = linear(qkv.fused, get, x);
  const width = a.heads * a.headDim;
  const kvWidth = a.kvHeads * a.headDim;
  const blocks =
    qkv.order === 'blocks'
      ? g.split(all, [width, kvWidth, kvWidth])
      : g
          .split(g.reshape(all, [grid.rows, a.heads, 3 * a.headDim]), [a.headDim, a.headDim, a.headDim])
          .map((block) => g.reshape(block, [grid.rows, width]));
  return { q: blocks[0]!, k: blocks[1]!, v: blocks[2]! };
}

/** As `threeOf`, of streams that each head reads alone; every query head has its group's keys and values to itself. */
function headByHead(
  { a, layer, weights, get, norm, grid }: AttentionPart,
  streams: PartStreams,
  stream: Tensor,
): Record<'q' | 'k' | 'v', Tensor> {
  const of = (part: 'q' | 'k' | 'v') => {
    const { weight, bias } = headProjection(a, weights.qkv, part, (which) => value(get, which));
    const entering = streams.heads(part, layer, stream);
    const read = weights.attentionNorm ? norm(weights.attentionNorm, entering) : entering;
    const made = g.matmul(read, weight, { transB: true });
    const biased = bias ? g.add(made, bias) : made;
    return g.reshape(g.transpose(biased, [1, 0, 2]), [grid.rows, a.heads * a.headDim]);
  };
  return { q: of('q'), k: of('k'), v: of('v') };
}
