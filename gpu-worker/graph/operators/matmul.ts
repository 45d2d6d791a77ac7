/** Matrix products. Transposes are flags of the product, so no transposed copy is made where a kernel can avoid it. */

import { GraphError } from '../errors.ts';
import { broadcastShapes, isStatic, type Shape, sizeOf } from '../shape.ts';
import {
  type AnyOperator,
  applyOne,
  commonDType,
  type Emitter,
  madeBy,
  type Operator,
  type Tensor,
} from '../tensor.ts';
import { mul, scaledSource } from './elementwise.ts';
import { lastTwoExchanged, reshape, sumTo } from './layout.ts';
import { broadcastOffset, eachIndex } from './oracle.ts';
import { sum } from './reductions.ts';

type Product = { transA: boolean; transB: boolean; alpha: number };

const MatMul: Operator<Product, 2> = {
  name: 'MatMul',
  infer([a, b], { transA, transB }) {
    if (a.rank < 2 || b.rank < 2) {
      throw new GraphError('shape_mismatch', 'both operands need at least two axes');
    }
    const [rows, innerA] = oriented(a.shape, transA);
    const [innerB, columns] = oriented(b.shape, transB);
    if (innerA !== innerB) {
      throw new GraphError('shape_mismatch', `inner sizes ${innerA} and ${innerB} differ`);
    }
    const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
    return [{ dtype: commonDType([a, b]), shape: [...batch, rows, columns] }];
  },
  onnx(emit, [a, b], { transA, transB, alpha }, { inputs }) {
    if (!transA && !transB && alpha === 1) {
      return emit.node('MatMul', [a, b]);
    }
    const flags = { transA: transA ? 1 : 0, transB: transB ? 1 : 0, alpha: { float: alpha } };
    const flat = inputs[0].rank === 2 && inputs[1].rank === 2;
    if (flat && transA && !transB && emit.target === 'cpu' && isLarge(inputs[0], inputs[1])) {
      return turnedProduct(emit, [a, b], inputs, alpha);
    }
    if (flat) {
      return emit.node('Gemm', [a, b], flags);
    }
    if (emit.target !== 'webgpu') {
      return emit.node('FusedMatMul', [a, b], flags, { domain: 'com.microsoft' });
    }
    const exchanged = (name: string, { rank }: Tensor) =>
      emit.node('Transpose', [name], { perm: [...Array(rank - 2).keys(), rank - 1, rank - 2] })[0];
    const product = emit.node('MatMul', [transA ? exchanged(a, inputs[0]) : a, transB ? exchanged(b, inputs[1]) : b]);
    return alpha === 1 ? product : emit.node('Mul', [...product, emit.scalar(alpha, inputs[0].dtype)]);
  },
  evaluate([a, b], { transA, transB, alpha }) {
    const [rows, inner] = oriented(a.shape, transA) as [number, number];
    const [, columns] = oriented(b.shape, transB) as [number, number];
    const [batchA, batchB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
    const batch = broadcastShapes(batchA, batchB) as number[];
    const out = new Float64Array(sizeOf(batch) * rows * columns);
    eachIndex(batch, (index, flat) => {
      const startA = broadcastOffset({ shape: batchA, data: a.data }, index) * rows * inner;
      const startB = broadcastOffset({ shape: batchB, data: b.data }, index) * inner * columns;
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          let sum = 0;
          for (let k = 0; k < inner; k++) {
            const x = a.data[startA + (transA ? k * rows + i : i * inner + k)]!;
            const y = b.data[startB + (transB ? j * inner + k : k * columns + j)]!;
            sum += x * y;
          }
          out[(flat * rows + i) * columns + j] = alpha * sum;
        }
      }
    });
    return [out];
  },
  gradient({ inputs: [a, b], by: [dy], attributes: { transA, transB, alpha } }) {
    const byA = transA
      ? matmul(b, dy, { transA: transB, transB: true, alpha })
      : matmul(dy, b, { transA: false, transB: !transB, alpha });
    // Rows that share one matrix form a single tall product, not a batch of products to be summed.
    const tall = b.rank === 2 && a.rank > 2 && !transA;
    const [rowsA, rowsY] = tall ? [flattenRows(a), flattenRows(dy)] : [a, dy];
    const byB = transB
      ? matmul(rowsY, rowsA, { transA: true, transB: transA, alpha })
      : matmul(rowsA, rowsY, { transA: !transA, transB: false, alpha });
    return [sumTo(byA, a), sumTo(byB, b)];
  },
};
/** Whether a product of known sizes is worth the copies and the three more nodes of `turnedProduct`. */
function isLarge(a: Tensor, b: Tensor): boolean {
  const sizes = [...a.shape, ...b.shape.slice(1)];
  return isStatic(sizes) && sizeOf(sizes) >= 2 ** 22;
}

/**
 * `alpha * a^T b`. The CPU kernel reads a first factor that lies turned 10 to 20 % slower than one that does not; to turn
 * the smaller side (and the result with it, where that is b) costs less.
 */
function turnedProduct(
  emit: Emitter,
  [a, b]: [string, string],
  [x, y]: readonly [Tensor, Tensor],
  alpha: number,
): readonly [string] {
  const [rows, columns] = [x.shape[1] as number, y.shape[1] as number];
  const scale = { alpha: { float: alpha } };
  if (rows <= columns) {
    return emit.node('Gemm', [turned(emit, a, x), b], scale);
  }
  const [product] = emit.node('Gemm', [turned(emit, b, y), a], scale);
  return [turned(emit, product, { shape: [columns, rows] })];
}
/** A transposed copy. Written with a third axis, since the runtime folds a plain transpose back into the product. */
function turned(emit: Emitter, name: string, { shape }: { shape: Shape }): string {
  const [rows, columns] = shape as [number, number];
  const [deep] = emit.node('Reshape', [name, emit.int64([rows, columns, 1])]);
  const [exchanged] = emit.node('Transpose', [deep], { perm: [1, 0, 2] });
  return emit.node('Reshape', [exchanged, emit.int64([columns, rows])])[0];
}
const oriented = <T>(shape: readonly T[], turned: boolean): [T, T] => {
  const [rows, columns] = [shape[shape.length - 2]!, shape[shape.length - 1]!];
  return turned ? [columns, rows] : [rows, columns];
};
/** All axes but the last as one. A constant factor stays outermost, where a product can take it along. */
export function flattenRows(x: Tensor): Tensor {
  const { source, factor } = scaledSource(x);
  const lead = source.shape.slice(0, -1);
  const rows = reshape(source, [isStatic(lead) ? sizeOf(lead) : lead.join('*'), source.shape[source.rank - 1]!]);
  return mul(rows, factor);
}
/** An operand without its constant factors and exchanges of the last two axes: the product takes them as flags. */
function bare(operand: Tensor): { source: Tensor; turned: boolean; factor: number } {
  let [source, turned, factor] = [operand, false, 1];
  for (;;) {
    const scaled = scaledSource(source);
    const exchanged = lastTwoExchanged(scaled.source);
    factor *= scaled.factor;
    if (scaled.factor === 1 && !exchanged) {
      return { source, turned, factor };
    }
    source = exchanged ?? scaled.source;
    turned = exchanged ? !turned : turned;
  }
}

/**
 * `alpha * op(a) op(b)` over the last two axes; leading axes are batches and broadcast. `transA`/`transB` exchange the
 * last two axes of an operand without a copy: a weight stored as [out, in] is used by `matmul(x, w, { transB: true })`.
 */
export function matmul(
  a: Tensor,
  b: Tensor,
  { transA = false, transB = false, alpha = 1 }: Partial<Product> = {},
): Tensor {
  const [left, right] = [bare(a), bare(b)];
  return applyOne(MatMul, [left.source, right.source], {
    transA: left.turned !== transA,
    transB: right.turned !== transB,
    alpha: alpha * left.factor * right.factor,
  });
}

/**
 * Sum over the rows of a product, wanted in the shape [columns] of `like`: the rows of the first factor are summed
 * instead, which saves the whole product where only its sum is used (as for a bias that is subtracted from an input).
 */
export function sumOfProduct(x: Tensor, like: Tensor): Tensor | undefined {
  const product = madeBy(MatMul, x);
  if (!product || like.rank !== 1 || like.shape[0] !== x.shape[x.rank - 1]) {
    return undefined;
  }
  const {
    inputs: [a, b],
    attributes: flags,
  } = product;
  if (b.rank !== 2 || (flags.transA && a.rank > 2)) {
    return undefined;
  }
  const summed = flags.transA ? sum(a, -1, true) : sum(flattenRows(a), 0, true);
  return reshape(matmul(summed, b, flags), like.shape);
}

export const products: readonly AnyOperator[] = [MatMul];
