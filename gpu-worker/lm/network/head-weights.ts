/** Projections cut into heads: for computations that take the heads of a layer apart. */
import type { Architecture, LayerWeights, Linear, Weight } from '../../../shared/models/architecture.ts';
import * as g from '../../graph/index.ts';

type Tensor = g.Tensor;
type Value = (weight: Weight) => Tensor;

/**
 * The query, key or value projection of each query head: weight [heads, headDim, width] and bias [heads, 1, headDim]. Query
 * heads that share keys and values have equal ones.
 */
export function headProjection(
  a: Architecture,
  qkv: LayerWeights['qkv'],
  part: 'q' | 'k' | 'v',
  value: Value,
): { weight: Tensor; bias: Tensor | null } {
  const { heads, headDim, width } = a;
  const linear = 'fused' in qkv ? qkv.fused : qkv[part];
  // Counted from the matrix: where heads are taken apart, the architecture says that none share keys.
  const outputs = (linear.weight.shape[linear.layout === 'out_in' ? 0 : 1] ?? 0) / headDim;
  const kvHeads = 'fused' in qkv ? (outputs - heads) / 2 : outputs;
  const count = part === 'q' ? heads : kvHeads;
  const before = { q: 0, k: heads, v: heads + kvHeads }[part] * headDim;
  const third = { q: 0, k: 1, v: 2 }[part];
  // Rows are outputs of the projection; of a joined one they come in three blocks, or head by head.
  const own = (rows: Tensor): Tensor => {
    const rest = rows.shape[1] as number;
    if (!('fused' in qkv)) {
      return g.reshape(rows, [count, headDim, rest]);
    }
    return qkv.order === 'blocks'
      ? g.reshape(g.slice(rows, 0, before, before + count * headDim), [count, headDim, rest])
      : g.slice(g.reshape(rows, [heads, 3 * headDim, rest]), 1, third * headDim, (third + 1) * headDim);
  };
  const ungrouped = (x: Tensor): Tensor =>
    count === heads
      ? x
      : g.gather(
          x,
          g.constant(
            Array.from({ length: heads }, (_, head) => Math.floor((head * count) / heads)),
            [heads],
            'int64',
          ),
        );
  const rows = linear.layout === 'out_in' ? value(linear.weight) : g.transpose(value(linear.weight), [1, 0]);
  const bias = linear.bias && own(g.reshape(value(linear.bias), [linear.bias.shape[0]!, 1]));
  return {
    weight: g.reshape(ungrouped(own(rows)), [heads, headDim, width]),
    bias: bias && g.reshape(ungrouped(bias), [heads, 1, headDim]),
  };
}

/** What each head's values are multiplied with: [heads, headDim, width]. */
export function headOutputs(a: Architecture, output: Linear, value: Value): Tensor {
  const { heads, headDim, width } = a;
  const stored = value(output.weight);
  return output.layout === 'in_out'
    ? g.reshape(stored, [heads, headDim, width])
    : g.transpose(g.reshape(stored, [width, heads, headDim]), [1, 2, 0]);
}
