/** The small parts that every block is made of, written on symbolic tensors. */
import type { Activation, Architecture, Linear, Norm, Weight } from '../../../shared/models/architecture.ts';
import * as g from '../../graph/index.ts';
import { Parameter } from '../../graph/index.ts';

/** The tensor of a weight as it is stored (possibly in 16 bits): in a file, fed, or trained. */
export type Parameters = ((weight: Weight) => g.Tensor) & {
  /** Called with every linear layer and its input: gives the product x W' by other means, or null to leave it. */
  product?(layer: Linear, x: g.Tensor): g.Tensor | null;
  /** Called with every linear layer: what is added to its output beside its own bias, or null. */
  offset?(layer: Linear): g.Tensor | null;
};

/** A weight ready to compute with. */
export const value = (get: Parameters, weight: Weight): g.Tensor => g.cast(get(weight), 'float32');

/**
 * Rows of an embedding table; 16-bit tables are widened row by row, never as a whole. Where the table is trained,
 * looking up `padding` gives its row no gradient.
 */
export function lookUp(get: Parameters, table: Weight, ids: g.Tensor, padding: number | null = null): g.Tensor {
  const rows = g.cast(g.gather(get(table), ids), 'float32');
  if (padding === null || !isParameter(get(table))) {
    return rows;
  }
  const isPadding = g.unsqueeze(g.equal(ids, g.scalar(padding, 'int64')), -1);
  return g.where(isPadding, g.stopGradient(rows), rows);
}
const isParameter = (tensor: g.Tensor): boolean => tensor.node.operator === Parameter;

/** y = x W' + b for x [rows, in], whichever way W is stored. */
export function linear(layer: Linear, get: Parameters, x: g.Tensor): g.Tensor {
  const { weight, bias, layout } = layer;
  const y = get.product?.(layer, x) ?? g.matmul(x, value(get, weight), { transB: layout === 'out_in' });
  const offset = get.offset?.(layer) ?? null;
  const moved = offset ? g.add(y, offset) : y;
  return bias ? g.add(moved, value(get, bias)) : moved;
}

/** The architecture's kind of norm over the last axis. */
export function norm(a: Architecture, { weight, bias }: Norm, get: Parameters, x: g.Tensor): g.Tensor {
  if (a.norm.kind === 'layer') {
    if (!bias) {
      throw new RangeError(`the layer norm '${weight.name}' has no bias`);
    }
    return g.layerNorm(x, value(get, weight), value(get, bias), a.norm.eps);
  }
  return g.rmsNorm(x, value(get, weight), a.norm.eps, { scaleOffset: a.norm.weightOffset });
}

const ACTIVATIONS: Record<Activation, (x: g.Tensor) => g.Tensor> = {
  silu: g.silu,
  gelu: g.gelu,
  gelu_tanh: g.geluTanh,
  relu: g.relu,
  relu2: (x) => g.square(g.relu(x)),
};
export const activate = (activation: Activation, x: g.Tensor): g.Tensor => ACTIVATIONS[activation](x);
