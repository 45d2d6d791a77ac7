/** Rotary position embedding as one operator of the graph, and the tables it reads. */

import type { Rope } from '../../../shared/models/architecture.ts';
import { ropeFrequencies, ropeMagnitude } from '../../../shared/models/rope.ts';
import * as g from '../../graph/index.ts';
import { applyOne, GraphError, type Operator, type Tensor } from '../../graph/index.ts';

type RotaryAttributes = { heads: number; headDim: number; dims: number };

/**
 * Turns the pairs (i, i + dims/2) of the first `dims` entries of each head by the angle of its position:
 * x [batch, seq, heads * headDim], positions int64 [batch, seq], cosines and sines [positions, dims/2].
 */
const Rotary: Operator<RotaryAttributes, 4> = {
  name: 'Rotary',
  infer([x, positions, cosines, sines], { heads, headDim, dims }) {
    if (x.rank !== 3 || x.shape[2] !== heads * headDim || positions.rank !== 2) {
      throw new GraphError('shape_mismatch', `needs x [batch, seq, ${heads * headDim}] and positions [batch, seq]`);
    }
    if (cosines.shape[1] !== dims / 2 || sines.shape[1] !== dims / 2) {
      throw new GraphError('shape_mismatch', `needs tables [positions, ${dims / 2}]`);
    }
    return [{ dtype: x.dtype, shape: x.shape }];
  },
  onnx(emit, [x, positions, cosines, sines], { heads, headDim, dims }) {
    const partial = dims === headDim ? {} : { num_heads: heads, rotary_embedding_dim: dims };
    return emit.node('RotaryEmbedding', [x, positions, cosines, sines], partial, { domain: 'com.microsoft' });
  },
  evaluate([x, positions, cosines, sines], { heads, headDim, dims }) {
    const out = Float64Array.from(x.data);
    const half = dims / 2;
    positions.data.forEach((position, row) => {
      for (let head = 0; head < heads; head++) {
        for (let i = 0; i < half; i++) {
          const at = (row * heads + head) * headDim + i;
          const [c, s] = [cosines.data[position * half + i]!, sines.data[position * half + i]!];
          out[at] = x.data[at]! * c - x.data[at + half]! * s;
          out[at + half] = x.data[at + half]! * c + x.data[at]! * s;
        }
      }
    });
    return [out];
  },
  // The transpose of a (scaled) rotation is the same turn with the sines negated.
  gradient: ({ inputs: [, positions, cosines, sines], by: [dy], attributes }) => [
    applyOne(Rotary, [dy, positions, cosines, g.neg(sines)], attributes),
  ],
};

export const rotary = (
  x: Tensor,
  positions: Tensor,
  tables: { cosines: Tensor; sines: Tensor },
  attributes: RotaryAttributes,
): Tensor => applyOne(Rotary, [x, positions, tables.cosines, tables.sines], attributes);

/**
 * Cosines and sines of positions 0 .. count-1 in texts of `length` tokens, each [count, dims/2], computed in float64; times
 * the factor by which some scalings stretch queries and keys.
 */
export function rotaryTables(
  rope: Rope,
  count: number,
  length = count,
): { cosines: Float32Array; sines: Float32Array } {
  const frequencies = ropeFrequencies(rope, length);
  const magnitude = ropeMagnitude(rope);
  const half = frequencies.length;
  const cosines = new Float32Array(count * half);
  const sines = new Float32Array(count * half);
  for (let position = 0; position < count; position++) {
    for (let i = 0; i < half; i++) {
      cosines[position * half + i] = magnitude * Math.cos(position * frequencies[i]!);
      sines[position * half + i] = magnitude * Math.sin(position * frequencies[i]!);
    }
  }
  return { cosines, sines };
}
