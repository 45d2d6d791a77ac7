/** The public interface of the graph layer: `import * as g from './index.ts'`. */

export { compile, type Port, type Program } from './compile.ts';
export type { DType, HostArray } from './dtype.ts';
export { namedLeaves } from './emit.ts';
export { GraphError, type GraphErrorCode } from './errors.ts';
export { evaluate, type Feed } from './evaluate.ts';
export { gradients } from './gradients.ts';
export { compileLoop, compileStep, nextName, STEPS, type StepSpec } from './loop.ts';
export { bytesOf, peakBytes } from './memory.ts';
export {
  and,
  cast,
  equal,
  greater,
  greaterEqual,
  less,
  lessEqual,
  masked,
  not,
  or,
  where,
} from './operators/comparison.ts';
export { conv1d, reverse, transposedConv1d } from './operators/convolution.ts';
export { straightThrough, withGradient } from './operators/custom.ts';
export {
  abs,
  add,
  clip,
  cos,
  div,
  erf,
  exp,
  floor,
  gelu,
  geluTanh,
  indicator,
  log,
  maximum,
  minimum,
  mul,
  neg,
  type Operand,
  pow,
  reciprocal,
  relu,
  rsqrt,
  sigmoid,
  sign,
  silu,
  sin,
  softplus,
  sqrt,
  square,
  sub,
  tanh,
} from './operators/elementwise.ts';
export { addElements, addRows, gather, gatherElements, kthLargest, topK, topKMask } from './operators/indexing.ts';
export { type KroneckerOrder, kroneckerMatmul } from './operators/kronecker.ts';
export {
  addAll,
  expand,
  expandLike,
  reshape,
  squeeze,
  stopGradient,
  transpose,
  unsqueeze,
  zerosLike,
} from './operators/layout.ts';
export {
  constant,
  external,
  filled,
  type Initialiser,
  input,
  nameOf,
  Parameter,
  type ParameterAttributes,
  parameter,
  scalar,
} from './operators/leaves.ts';
export { binaryCrossEntropy, crossEntropy, crossEntropyRows, meanSquaredError } from './operators/losses.ts';
export { flattenRows, matmul } from './operators/matmul.ts';
export { layerNorm, logSoftmax, rmsNorm, softmax } from './operators/normalise.ts';
export { operators } from './operators/operators.ts';
export { concat, lowerTriangle, pad, slice, split, upperTriangle } from './operators/parts.ts';
export { argMax, cumulativeSum, logSumExp, max, mean, min, sum } from './operators/reductions.ts';
export { positionsAlong, renamed, sizeAlong } from './operators/sizes.ts';
export type { Dim, Shape } from './shape.ts';
export { apply, applyOne, type Dense, type Operator, type Target, type Tensor } from './tensor.ts';
