/** One case for every operator: how to build it on inputs of random sizes. Values and gradients are checked on each. */
import * as g from '../../../gpu-worker/graph/index.ts';

/** Asks for a float input with elements in [low, high); integer inputs are drawn below `below`. */
export type Sources = {
  size(low?: number, high?: number): number;
  float(shape: readonly number[], low?: number, high?: number): g.Tensor;
  integer(shape: readonly number[], below: number): g.Tensor;
};
export type Case = { operator: string; variant?: string; build(sources: Sources): g.Tensor };

const unary = (operator: string, f: (x: g.Tensor) => g.Tensor, low = -2, high = 2): Case => ({
  operator,
  build: ({ size, float }) => f(float([size(), size()], low, high)),
});
const binary = (operator: string, f: (a: g.Tensor, b: g.Tensor) => g.Tensor, low = -2, high = 2): Case[] => [
  {
    operator,
    build: ({ size, float }) => {
      const shape = [size(), size()];
      return f(float(shape, low, high), float(shape, low, high));
    },
  },
  {
    operator,
    variant: 'both operands repeated',
    build: ({ size, float }) => {
      const [a, b, c] = [size(), size(), size()];
      return f(float([a, 1, c], low, high), float([b, 1], low, high));
    },
  },
  {
    operator,
    variant: 'with a scalar',
    build: ({ size, float }) => f(float([size()], low, high), float([], low, high)),
  },
];
/** Comparisons have no gradient of their own; they choose between two inputs that have. */
const predicate = (operator: string, f: (a: g.Tensor, b: g.Tensor) => g.Tensor): Case => ({
  operator,
  build: ({ size, float, integer }) => {
    const [a, b] = [size(), size()];
    return g.where(
      f(g.cast(integer([a, b], 3), 'float32'), g.cast(integer([b], 3), 'float32')),
      float([a, b]),
      float([a, 1]),
    );
  },
});
const logic = (operator: string, f: (a: g.Tensor, b: g.Tensor) => g.Tensor): Case =>
  predicate(operator, (a, b) => f(g.greater(a, 0), g.greater(b, 0)));
const reduction = (operator: string, f: (x: g.Tensor, axes?: number[], keep?: boolean) => g.Tensor): Case[] => [
  { operator, variant: 'all axes', build: ({ size, float }) => f(float([size(), size()])) },
  { operator, variant: 'middle axis', build: ({ size, float }) => f(float([size(), size(), size()]), [1]) },
  { operator, variant: 'kept', build: ({ size, float }) => f(float([size(), size(), size()]), [0, -1], true) },
];
const kronecker = (operator: string, variant: string, order: g.KroneckerOrder, blockRows?: number): Case => ({
  operator,
  variant,
  build({ size, float }) {
    const [p, q, m, n, r] = [size(), size(), size(), size(), size()];
    const x = float([2, 3, p * m]);
    return g.kroneckerMatmul(x, float([r, p, q]), float([r, m, n]), { order, ...(blockRows && { blockRows }) });
  },
});
const product = (variant: string, a: string, b: string, options?: Parameters<typeof g.matmul>[2]): Case => ({
  operator: 'MatMul',
  variant,
  build({ size, float }) {
    const sizes: Record<string, number> = { '1': 1, m: size(), k: size(), n: size(), p: size(), q: size() };
    const shape = (letters: string) => [...letters].map((letter) => sizes[letter]!);
    return g.matmul(float(shape(a)), float(shape(b)), options);
  },
});

export const cases: Case[] = [
  { operator: 'filled', build: ({ size, float }) => g.add(float([size()]), g.filled([2, 1], 0.5)) },
  ...binary('Add', g.add),
  ...binary('Sub', g.sub),
  ...binary('Mul', g.mul),
  ...binary('Div', g.div, 0.5, 2),
  ...binary('Pow', g.pow, 0.5, 2),
  {
    operator: 'Pow',
    variant: 'a constant exponent, any base',
    build: ({ size, float }) => g.add(g.pow(float([size()]), 3), g.pow(float([1]), 2)),
  },
  ...binary('Max', g.maximum),
  ...binary('Min', g.minimum),
  unary('Neg', g.neg),
  unary('Exp', g.exp),
  unary('Log', g.log, 0.2, 3),
  unary('Sqrt', g.sqrt, 0.2, 3),
  unary('Reciprocal', g.reciprocal, 0.3, 3),
  unary('Abs', g.abs),
  unary('Sign', (x) => g.mul(x, g.sign(x))),
  unary('Floor', (x) => g.mul(x, g.floor(x))),
  unary('Sin', g.sin),
  unary('Cos', g.cos),
  unary('Tanh', g.tanh),
  unary('Sigmoid', g.sigmoid, -6, 6),
  unary('Relu', g.relu),
  unary('Softplus', g.softplus, -6, 6),
  unary('Erf', g.erf),
  unary('Gelu', g.gelu, -4, 4),
  unary('GeluTanh', g.geluTanh, -4, 4),
  { ...unary('Mul', g.silu, -5, 5), variant: 'silu' },
  { ...unary('Max', (x) => g.clip(x, -1, 0.5)), variant: 'clip' },
  predicate('Equal', g.equal),
  predicate('Greater', g.greater),
  predicate('GreaterOrEqual', g.greaterEqual),
  predicate('Less', g.less),
  predicate('LessOrEqual', g.lessEqual),
  logic('And', g.and),
  logic('Or', g.or),
  logic('Not', (a, b) => g.not(g.and(a, b))),
  predicate('Where', (a, b) => g.less(a, b)),
  {
    operator: 'Masked',
    build({ size, float }) {
      const [a, b] = [size(), size()];
      return g.masked(float([a, b]), g.greater(float([b]), 0));
    },
  },
  { operator: 'Cast', build: ({ size, float }) => g.cast(g.cast(float([size()]), 'float64'), 'float32') },
  ...reduction('ReduceSum', g.sum),
  ...reduction('ReduceMean', g.mean),
  ...reduction('ReduceMax', g.max),
  ...reduction('ReduceMin', g.min),
  ...reduction('ReduceLogSumExp', g.logSumExp),
  {
    operator: 'ArgMax',
    build({ size, float }) {
      const x = float([size(), size()]);
      return g.gatherElements(x, g.argMax(x, -1, true), -1);
    },
  },
  unary('CumSum', (x) => g.cumulativeSum(x, 0)),
  {
    ...unary('CumSum', (x) => g.cumulativeSum(x, -1, { reverse: true, exclusive: true })),
    variant: 'reverse, exclusive',
  },
  product('matrices', 'mk', 'kn'),
  product('first transposed', 'km', 'kn', { transA: true }),
  product('second transposed', 'mk', 'nk', { transB: true, alpha: 0.5 }),
  product('both transposed', 'km', 'nk', { transA: true, transB: true }),
  product('batches', 'pmk', 'pkn'),
  product('batches, transposed', 'pkm', 'pnk', { transA: true, transB: true, alpha: 2 }),
  product('batches that repeat', 'p1mk', 'qkn'),
  product('batches that repeat, transposed', 'p1mk', 'qnk', { transB: true }),
  product('rows of a batch by one matrix', 'pqmk', 'kn'),
  product('rows of a batch by one transposed matrix', 'pmk', 'nk', { transB: true }),
  product('one matrix by a batch', 'mk', 'pkn'),
  kronecker('MatMul', 'Kronecker terms, A first', 'a-first'),
  kronecker('MatMul', 'Kronecker terms, B first', 'b-first'),
  kronecker('RowBlocks', 'Kronecker terms, A first', 'a-first', 2),
  kronecker('RowBlocks', 'Kronecker terms, B first', 'b-first', 3),
  {
    operator: 'MatMul',
    variant: 'bias before a product',
    build({ size, float }) {
      const [n, d] = [size(), size()];
      return g.matmul(g.sub(float([n, 2, d]), float([d])), g.mul(float([d, 3]), 0.5));
    },
  },
  { operator: 'Reshape', build: ({ size, float }) => reshaped(float([2, size(), 3])) },
  { operator: 'Transpose', build: ({ size, float }) => g.exp(g.transpose(float([size(), size(), size()]), [2, 0, 1])) },
  {
    operator: 'Expand',
    build({ size, float }) {
      const [a, b] = [size(), size()];
      return g.exp(g.expand(float([b, 1]), [a, b, 3]));
    },
  },
  {
    operator: 'Expand',
    variant: 'both operands expanded',
    build: ({ float }) => g.mul(g.expand(float([1, 2]), [3, 2]), g.expand(float([1, 1]), [3, 2])),
  },
  {
    operator: 'Concat',
    build({ size, float }) {
      const rows = size();
      return g.exp(g.concat([float([rows, size()]), float([rows, size()]), float([rows, 1])], 1));
    },
  },
  { operator: 'Slice', build: ({ size, float }) => g.slice(float([size(3, 6), 2]), 0, 1, 3) },
  { operator: 'Slice', variant: 'steps', build: ({ float }) => g.slice(float([2, 8]), 1, 1, 8, 3) },
  { operator: 'Slice', variant: 'steps that end early', build: ({ float }) => g.slice(float([2, 9]), 1, 0, 6, 2) },
  {
    operator: 'Slice',
    variant: 'split',
    build({ float }) {
      const [a, b] = g.split(float([2, 5]), [2, 3], 1);
      return g.matmul(a!, b!, { transA: true });
    },
  },
  { operator: 'Pad', build: ({ size, float }) => g.exp(g.pad(float([size(), size()]), 1, 2, 1, 0.5)) },
  { operator: 'Trilu', build: ({ size, float }) => g.lowerTriangle(float([2, size(), size()]), 1) },
  { operator: 'Trilu', variant: 'upper', build: ({ size, float }) => g.upperTriangle(float([size(), size()])) },
  { operator: 'StopGradient', build: ({ size, float }) => g.add(float([size()]), g.stopGradient(float([1]))) },
  {
    operator: 'Size',
    build({ size, float }) {
      const x = float([size(), size()]);
      return g.mul(x, g.cast(g.sizeAlong(x, 1), 'float32'));
    },
  },
  {
    operator: 'Range',
    build({ size, float }) {
      const x = float([size(), size()]);
      return g.mul(x, g.cast(g.positionsAlong(x, 1), 'float32'));
    },
  },
  { operator: 'Rename', build: ({ float }) => g.renamed(float([2, 3]), [2, 3]) },
  { operator: 'Gather', build: ({ size, float, integer }) => g.gather(float([4, size()]), integer([size(), 3], 4)) },
  {
    operator: 'Gather',
    variant: 'inner axis',
    build: ({ size, float, integer }) => g.gather(float([size(), 4, size()]), integer([size(), 2], 4), 1),
  },
  {
    operator: 'AddRows',
    build({ size, float, integer }) {
      const [n, d] = [size(), size()];
      return g.exp(g.addRows(float([3, d]), integer([n], 3), float([n, d])));
    },
  },
  {
    operator: 'GatherElements',
    build: ({ size, float, integer }) => {
      const rows = size();
      return g.gatherElements(float([rows, 5]), integer([rows, size()], 5), 1);
    },
  },
  {
    operator: 'AddElements',
    build({ size, float, integer }) {
      const [n, d] = [size(), size()];
      return g.exp(g.addElements(float([3, d]), integer([n, d], 3), float([n, d]), 0));
    },
  },
  { operator: 'TopK', build: ({ size, float }) => g.topK(float([size(), 6]), 3).values },
  {
    operator: 'TopK',
    variant: 'mask',
    build({ size, float }) {
      const x = float([size(), 6]);
      return g.where(g.topKMask(g.abs(x), 2), x, 0);
    },
  },
  unary('Softmax', (x) => g.softmax(x)),
  { ...unary('Softmax', (x) => g.softmax(x, 0)), variant: 'first axis' },
  unary('LogSoftmax', (x) => g.logSoftmax(x)),
  {
    operator: 'LogSoftmax',
    variant: 'cross-entropy',
    build({ size, float, integer }) {
      const rows = size();
      return g.crossEntropy(float([rows, 5]), integer([rows], 5));
    },
  },
  {
    operator: 'Softplus',
    variant: 'binary cross-entropy',
    build({ size, float }) {
      const n = size();
      return g.binaryCrossEntropy(float([n]), float([n], 0, 1));
    },
  },
  {
    operator: 'LayerNorm',
    build: ({ size, float }) => {
      const d = size(3, 6);
      return g.layerNorm(float([size(), 2, d]), float([d]), float([d]));
    },
  },
  {
    operator: 'RmsNorm',
    build: ({ size, float }) => {
      const d = size(3, 6);
      return g.rmsNorm(float([size(), 2, d]), float([d]), 1e-6, { scaleOffset: 1 });
    },
  },
  ...(
    [
      ['plain', { stride: 1, padding: 0 }],
      ['padded', { stride: 1, padding: 2 }],
      ['padded at one end', { stride: 1, padding: [3, 0] }],
      ['strided', { stride: 2, padding: 1 }],
      ['strided by three', { stride: 3, padding: [0, 2] }],
    ] as const
  ).flatMap(([variant, options]): Case[] => [
    {
      operator: 'Conv1d',
      variant,
      build({ size, float }) {
        const [batch, channels, out] = [size(), size(), size()];
        return g.conv1d(float([batch, channels, size(6, 9)]), float([out, channels, size(2, 5)]), options);
      },
    },
    {
      operator: 'Conv1d',
      variant: `transposed, ${variant}`,
      build({ size, float }) {
        const [batch, channels, out] = [size(), size(), size()];
        return g.transposedConv1d(float([batch, channels, size(4, 6)]), float([channels, out, size(3, 5)]), options);
      },
    },
  ]),
  unary('Reverse', (x) => g.reverse(x, 0)),
  {
    operator: 'WithGradient',
    build({ size, float }) {
      const x = float([size()]);
      return g.withGradient(g.exp(x), [x], (dy) => [g.mul(dy, g.exp(x))]);
    },
  },
];

function reshaped(x: g.Tensor): g.Tensor {
  const [a, b, c] = x.shape as [number, number, number];
  return g.exp(g.reshape(x, [c, a * b]));
}
