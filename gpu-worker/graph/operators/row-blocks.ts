/**
 * Work on a few rows at a time: what a block needs between its operands and its results stays in the processor's cache and
 * is never stored for all rows. On the CPU and CUDA the blocks are the steps of an ONNX `Scan`, which reads and writes them
 * in place; on WebGPU, which has none, they are written one after another.
 */
import { GraphError } from '../errors.ts';
import { evaluate } from '../evaluate.ts';
import { isStatic, type Shape, sizeOf } from '../shape.ts';
import { type AnyOperator, apply, type Dense, type Emitter, type Operator, type Tensor } from '../tensor.ts';
import { topological } from '../topology.ts';
import { Input, input, nameOf } from './leaves.ts';

/** What is computed for one block, as a graph over leaves of its own. */
type Body = {
  /** Leaves that stand for a block of rows of each operand, and for each operand that all blocks share. */
  blocks: readonly Tensor[];
  shared: readonly Tensor[];
  /** Results with as many rows as the block, and results that are added over the blocks. */
  rows: readonly Tensor[];
  sums: readonly Tensor[];
};
type RowBlocksAttributes = Body & { count: number };

const withRows = (rows: number, shape: Shape): Shape => [rows, ...shape.slice(1)];

const RowBlocks: Operator<RowBlocksAttributes, number, number> = {
  name: 'RowBlocks',
  infer: (_, { rows, sums, count }) => [
    ...rows.map(({ dtype, shape }) => ({ dtype, shape: withRows(count * (shape[0] as number), shape) })),
    ...sums.map(({ dtype, shape }) => ({ dtype, shape })),
  ],
  onnx(emit, inputs, attributes, { outputs }) {
    // Results that nothing needs, such as the gradient of a first layer's input, are not computed in the blocks.
    const needed = outputs.map((output) => emit.needs(output));
    const { rows, sums } = attributes;
    const body = {
      ...attributes,
      rows: rows.filter((_, i) => needed[i]),
      sums: sums.filter((_, i) => needed[rows.length + i]),
    };
    const names = emit.target === 'webgpu' ? oneAfterAnother(emit, inputs, body) : scan(emit, inputs, body);
    return needed.map((need) => (need ? (names.shift() ?? '') : ''));
  },
  evaluate(inputs, { blocks, shared, rows, sums, count }) {
    const results = [...rows, ...sums].map(({ shape }, i) =>
      i < rows.length
        ? new Float64Array(count * sizeOf(shape as number[]))
        : new Float64Array(sizeOf(shape as number[])),
    );
    for (let at = 0; at < count; at++) {
      const feeds = Object.fromEntries(
        [...blocks, ...shared].map((leaf, i): [string, Dense] => {
          const shape = leaf.shape as number[];
          const { data } = inputs[i]!;
          const size = sizeOf(shape);
          return [nameOf(leaf), { shape, data: i < blocks.length ? data.subarray(at * size, (at + 1) * size) : data }];
        }),
      );
      evaluate([...rows, ...sums], feeds).forEach(({ data }, i) => {
        const target = results[i]!;
        if (i < rows.length) {
          target.set(data, at * data.length);
        } else {
          for (let k = 0; k < data.length; k++) {
            target[k] = target[k]! + data[k]!;
          }
        }
      });
    }
    return results;
  },
  inside: ({ rows, sums }) => [...rows, ...sums],
};

const bound = ({ blocks, shared }: Body, names: readonly string[]): Map<Tensor, string> =>
  new Map([...blocks, ...shared].map((leaf, i) => [leaf, names[i]!]));

function oneAfterAnother(emit: Emitter, inputs: readonly string[], attributes: RowBlocksAttributes): string[] {
  const { blocks, rows, sums, count } = attributes;
  const parts: string[][] = [];
  for (let at = 0; at < count; at++) {
    const operands = inputs.map((name, i) => {
      const size = blocks[i]?.shape[0] as number | undefined;
      if (size === undefined) {
        return name;
      }
      return emit.node('Slice', [name, emit.int64([at * size]), emit.int64([(at + 1) * size]), emit.int64([0])])[0];
    });
    parts.push(emit.inline([...rows, ...sums], bound(attributes, operands)));
  }
  return [...rows, ...sums].map((_, i) => {
    const each = parts.map((part) => part[i]!);
    if (i < rows.length) {
      return emit.node('Concat', each, { axis: 0 })[0];
    }
    return each.reduce((sum, part) => emit.node('Add', [sum, part])[0]);
  });
}

function scan(emit: Emitter, inputs: readonly string[], attributes: RowBlocksAttributes): string[] {
  const { blocks, shared, rows, sums, count } = attributes;
  const stacked = (shape: Shape): number[] => [count, ...(shape as number[])];
  const operands = blocks.map(({ shape }, i) => emit.node('Reshape', [inputs[i]!, emit.int64(stacked(shape))])[0]);
  const zeros = sums.map(({ dtype, shape }) => {
    const zero = emit.scalar(0, dtype);
    return shape.length === 0 ? zero : emit.node('Expand', [zero, emit.int64(shape as number[])])[0];
  });
  const body = emit.subgraph('rows', {
    carried: sums,
    given: blocks,
    outer: new Map(shared.map((leaf, i) => [leaf, inputs[blocks.length + i]!])),
    results: rows,
  });
  const results = emit.node(
    'Scan',
    [...zeros, ...operands],
    { body: { graph: body }, num_scan_inputs: blocks.length },
    { outputs: sums.length + rows.length },
  );
  const whole = rows.map(({ shape }, i) => {
    const size = withRows(count * (shape[0] as number), shape) as number[];
    return emit.node('Reshape', [results[sums.length + i]!, emit.int64(size)])[0];
  });
  return [...whole, ...results.slice(0, sums.length)];
}

/**
 * `body` over blocks of `size` rows (which must divide the rows of every operand of `rows`). It gets the block of each
 * operand and the shared ones, and answers with results for the block's rows and with results to be added over all blocks.
 * No gradient passes: it is meant for the inside of `withGradient`.
 */
export function overRowBlocks<
  const Rows extends readonly [Tensor, ...Tensor[]],
  const Shared extends readonly Tensor[],
  const Results extends readonly Tensor[],
  const Sums extends readonly Tensor[] = readonly [],
>(
  rows: Rows,
  shared: Shared,
  size: number,
  body: (blocks: Same<Rows>, shared: Same<Shared>) => { rows: Results; sums?: Sums },
): [...Same<Results>, ...Same<Sums>] {
  return blockwise(rows, shared, size, body as unknown as BlockBody) as [...Same<Results>, ...Same<Sums>];
}
/** As many tensors. */
type Same<T extends readonly Tensor[]> = { [K in keyof T]: Tensor };
type BlockBody = (
  blocks: readonly Tensor[],
  shared: readonly Tensor[],
) => { rows: readonly Tensor[]; sums?: readonly Tensor[] };

function blockwise(
  rows: readonly [Tensor, ...Tensor[]],
  shared: readonly Tensor[],
  size: number,
  body: BlockBody,
): readonly Tensor[] {
  const [total = 1] = rows[0].shape;
  const whole = typeof total === 'string';
  if (!whole && (total % size !== 0 || size < 1)) {
    throw new GraphError('argument_invalid', `blocks of ${size} rows do not divide ${total} rows`);
  }
  const count = whole ? 1 : total / size;
  if (whole || count === 1) {
    // One block is the graph itself, which then shares its values with what is around it.
    const { rows: results, sums = [] } = body(rows, shared);
    return [...results, ...sums];
  }
  const leaf = (tensor: Tensor, i: number, what: string) => {
    const shape = what === 'block' ? withRows(size, tensor.shape) : tensor.shape;
    return input(`${what} ${i}`, shape, tensor.dtype);
  };
  const blocks = rows.map((tensor, i) => leaf(tensor, i, 'block'));
  const same = shared.map((tensor, i) => leaf(tensor, i, 'shared'));
  const { rows: results, sums = [] } = body(blocks, same);
  for (const node of topological([...results, ...sums])) {
    const [first] = node.outputs;
    if (node.operator === Input && !blocks.includes(first) && !same.includes(first)) {
      throw new GraphError('argument_invalid', `a block uses '${nameOf(first)}'; pass it as a shared operand`);
    }
  }
  if (!isStatic(results.flatMap(({ shape }) => [...shape]))) {
    throw new GraphError('shape_unknown', 'results of row blocks need static sizes');
  }
  return [...apply(RowBlocks, [...rows, ...shared], { blocks, shared: same, rows: results, sums, count })];
}

export const rowBlocks: readonly AnyOperator[] = [RowBlocks];
