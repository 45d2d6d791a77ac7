/** The public interface of the graph layer: `import * as g from '../graph/index.ts'`. */
export { and, cast, equal, greater, greaterEqual, less, lessEqual, masked, not, or, where } from './comparison.ts';
export { compile, type Port, type Program } from './compile.ts';
export { conv1d, reverse, transposedConv1d } from './convolution.ts';
export { straightThrough, withGradient } from './custom.ts';
export { type DType, type HostArray, hostArray } from './dtype.ts';
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
} from './elementwise.ts';
export { GraphError, type GraphErrorCode } from './errors.ts';
export { evaluate, type Feed } from './evaluate.ts';
export { gradients } from './gradients.ts';
export { addElements, addRows, gather, gatherElements, kthLargest, topK, topKMask } from './indexing.ts';
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
} from './layout.ts';
export { constant, external, filled, type Initialiser, input, nameOf, parameter, scalar } from './leaves.ts';
export { binaryCrossEntropy, crossEntropy, crossEntropyRows, meanSquaredError } from './losses.ts';
export { flattenRows, kroneckerMatmul, matmul } from './matmul.ts';
export { layerNorm, logSoftmax, rmsNorm, softmax } from './normalise.ts';
export { concat, lowerTriangle, pad, slice, split, upperTriangle } from './parts.ts';
export { argMax, cumulativeSum, logSumExp, max, mean, min, sum } from './reductions.ts';
export type { Dim, Shape } from './shape.ts';
export { positionsAlong, renamed, sizeAlong } from './sizes.ts';
export type { Target, Tensor } from './tensor.ts';
