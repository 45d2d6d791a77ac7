/** The float64 reference evaluator: any graph by the naive loops of its operators. An oracle, not a runtime. */
import { GraphError } from './errors.ts';
import {
  Constant,
  type ConstantAttributes,
  External,
  type ExternalAttributes,
  isNamed,
  nameOf,
} from './operators/leaves.ts';
import { showShape, sizeOf } from './shape.ts';
import type { Dense, Tensor } from './tensor.ts';
import { topological } from './topology.ts';

export type Feed = { shape: readonly number[]; data: ArrayLike<number | bigint> };

/** Values of `outputs` when inputs and parameters have the given values (by name); weights in files are by `weights`. */
export function evaluate(
  outputs: readonly Tensor[],
  feeds: Readonly<Record<string, Feed>>,
  weights?: (attributes: ExternalAttributes) => ArrayLike<number>,
): Dense[] {
  const values = new Map<Tensor, Dense>();
  const symbols = new Map<string, number>();
  const computed = (tensor: Tensor): Dense => {
    const value = values.get(tensor);
    if (!value) {
      throw new Error(`${tensor} is used before it is computed`);
    }
    return value;
  };
  const dense = (shape: readonly number[], data: ArrayLike<number | bigint>): Dense => ({
    shape,
    data: Float64Array.from({ length: data.length }, (_, i) => Number(data[i])),
  });
  for (const node of topological(outputs)) {
    const [first] = node.outputs;
    const { operator } = node;
    if (isNamed(first)) {
      const feed = feeds[nameOf(first)];
      if (!feed) {
        throw new GraphError('feed_missing', `no value for '${nameOf(first)}'`);
      }
      bindSymbols(first, feed.shape, symbols);
      values.set(first, dense(feed.shape, feed.data));
    } else if (operator === Constant) {
      const { shape, data } = node.attributes as ConstantAttributes;
      values.set(first, dense(shape, data));
    } else if (operator === External) {
      const attributes = node.attributes as ExternalAttributes;
      if (!weights) {
        throw new GraphError('feed_missing', `weights in '${attributes.data.file}' need a reader`);
      }
      values.set(first, dense(attributes.shape, weights(attributes)));
    } else {
      const inputs = node.inputs.map(computed);
      const shapes = node.outputs.map((output) => ({
        dtype: output.dtype,
        shape: output.shape.map((dim) => (typeof dim === 'number' ? dim : (symbols.get(dim) ?? -1))),
      }));
      const results = node.operator.evaluate(inputs, node.attributes, shapes);
      node.outputs.forEach((output, i) => {
        const [data, sizes] = [results[i], shapes[i]];
        if (!data || !sizes) {
          throw new Error(`${node.operator.name} gave no value for output ${i}`);
        }
        const shape = completed(sizes.shape, data.length);
        bindSymbols(output, shape, symbols);
        values.set(output, { shape, data });
      });
    }
  }
  return outputs.map(computed);
}

/** At most one size that is still unknown follows from the element count. */
function completed(shape: readonly number[], length: number): number[] {
  const known = sizeOf(shape.filter((dim) => dim >= 0));
  return shape.map((dim) => (dim >= 0 ? dim : length / known));
}

function bindSymbols(tensor: Tensor, shape: readonly number[], symbols: Map<string, number>): void {
  const name = isNamed(tensor) ? `'${nameOf(tensor)}'` : tensor.node.operator.name;
  const fits =
    shape.length === tensor.rank &&
    tensor.shape.every((dim, i) => {
      if (typeof dim === 'number') {
        return dim === shape[i];
      }
      const known = symbols.get(dim);
      symbols.set(dim, shape[i]!);
      return known === undefined || known === shape[i];
    });
  if (!fits) {
    throw new GraphError('feed_mismatch', `${name} is ${tensor}, got ${showShape(shape)}`);
  }
}
