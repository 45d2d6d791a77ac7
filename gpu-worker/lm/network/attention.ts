/** Self-attention of one block: scores, softmax, and the heads' sum. */

import { type Linear, ropeOf } from '../../../shared/models/architecture.ts';
import * as g from '../../graph/index.ts';
import { fusedAttention, fusedTurns } from './fused-attention.ts';
import { linear, type Parameters, value } from './layers.ts';
import { type AttentionInputs, type AttentionPart, project } from './projections.ts';
import { splitSoftmax } from './split-softmax.ts';

type Tensor = g.Tensor;

/** Keys and values of the new positions, [batch, seq, kvHeads * headDim]. */
export type LayerCache = { keys: Tensor; values: Tensor };

/** The heads' sums [batch, seq, heads * headDim], before the output projection. */
type Mixed = { mixed: Tensor; cache: LayerCache };

/**
 * The attention half of a block for normed input x [rows, width]: what the output projection gives, before any
 * post-norm; and the new keys and values.
 */
export function attention(part: AttentionPart, x: Tensor): { out: Tensor; cache: LayerCache } {
  const { layer, weights, grid, norm, hookPoints } = part;
  // Heads that read streams of their own have keys and values of their own.
  const a = part.inputs.streams ? { ...part.a, kvHeads: part.a.heads } : part.a;
  const own = { ...part, a };
  const { mixed, cache } = part.inputs.fused ? fused(own, part.inputs.fused, x) : spelledOut(own, x);
  const joined = grid.join(mixed, a.heads * a.headDim);
  const z = grid.at(hookPoints, 'z', layer, weights.attentionSubNorm ? norm(weights.attentionSubNorm, joined) : joined);
  return { out: byHeads(part, z), cache };
}

/** In the runtime's own node. */
function fused(part: AttentionPart, sizes: NonNullable<AttentionInputs['fused']>, x: Tensor): Mixed {
  const { a, layer, inputs } = part;
  const past = inputs.past?.[layer] ?? null;
  const rope = ropeOf(a, layer);
  // Where keys are kept, they are kept turned.
  const dims = past === null && rope !== null && fusedTurns(a.headDim, rope.dims) ? rope.dims : 0;
  const turnsItself = dims > 0;
  const { q, k, v } = project(part, x, !turnsItself);
  const mixed = fusedAttention(
    { q, k, v, past, tables: turnsItself ? inputs.rotary(layer) : null, ...sizes },
    {
      heads: a.heads,
      kvHeads: a.kvHeads,
      headDim: a.headDim,
      scale: a.attentionScale[layer]!,
      cap: a.attentionCap,
      window: a.windows[layer]!,
      dims,
    },
  );
  return { mixed, cache: { keys: k, values: v } };
}

/** In scores, softmax and sums, with any mask, watched patterns and a gradient. */
function spelledOut(part: AttentionPart, x: Tensor): Mixed {
  const { a, layer, grid, inputs, hookPoints } = part;
  const { heads, kvHeads, headDim } = a;
  const group = heads / kvHeads;
  const { batch, seq } = grid;
  const { q, k, v } = project(part, x, true);
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
      hookPoints.has('attn_pattern', layer)
        ? flat(hookPoints.at('attn_pattern', layer, g.reshape(probabilities, [batch, heads, seq, seq])), seq)
        : flat(probabilities, seq),
      values,
    );
  }
  return {
    mixed: g.transpose(grid.shaped(mixed, [batch, kvHeads, group, seq, headDim]), [0, 3, 1, 2, 4]),
    cache: { keys: k, values: v },
  };
}

/** The output projection; where a head is watched, its own share is computed and what an edit changes is added. */
function byHeads({ a, layer, weights: { output }, get, grid, hookPoints }: AttentionPart, z: Tensor): Tensor {
  let out = linear(output, get, z);
  for (let head = 0; head < a.heads; head++) {
    if (!hookPoints.has('head_out', layer, head)) {
      continue;
    }
    const [from, to] = [head * a.headDim, (head + 1) * a.headDim];
    const share = headShare(output, get, z, from, to);
    const edited = grid.at(hookPoints, 'head_out', layer, share, head);
    if (edited !== share) {
      out = g.add(out, g.sub(edited, share));
    }
  }
  return out;
}

/** What entries [from, to) of z add to the output. */
function headShare(output: Linear, get: Parameters, z: Tensor, from: number, to: number): Tensor {
  const width = z.shape[1] as number;
  const own = g.constant(
    Array.from({ length: width }, (_, i) => (i >= from && i < to ? 1 : 0)),
    [width],
  );
  // A packed matrix cannot be cut: all other entries count as zero.
  const packed = get.product?.(output, g.mul(z, own));
  if (packed) {
    return packed;
  }
  const weight = value(get, output.weight);
  return output.layout === 'out_in'
    ? g.matmul(g.slice(z, 1, from, to), g.slice(weight, 1, from, to), { transB: true })
    : g.matmul(g.slice(z, 1, from, to), g.slice(weight, 0, from, to));
}
