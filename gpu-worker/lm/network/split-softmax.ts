/** A softmax over two blocks of scores at once, for attention over cached and new positions. */
import { apply, GraphError, type Operator, type Tensor } from '../../graph/index.ts';

/**
 * softmax over the last axes of `a` and `b` together, returned as two blocks again; the caches that they multiply then
 * never have to be joined. For generation only, so it has no gradient.
 */
const SplitSoftmax: Operator<Record<never, never>, 2, 2> = {
  name: 'SplitSoftmax',
  infer([a, b]) {
    if (a.rank !== b.rank || a.shape.slice(0, -1).some((dim, i) => dim !== b.shape[i])) {
      throw new GraphError('shape_mismatch', 'sizes before the last axis must agree');
    }
    return [
      { dtype: a.dtype, shape: a.shape },
      { dtype: b.dtype, shape: b.shape },
    ];
  },
  onnx(emit, [a, b], _, { inputs: [first] }) {
    const axis = first.rank - 1;
    const [joined] = emit.node('Concat', [a, b], { axis });
    const [probabilities] = emit.node('Softmax', [joined], { axis });
    const sizes = [a, b].map((name) => emit.node('Shape', [name], { start: axis, end: axis + 1 })[0]);
    const [both] = emit.node('Concat', sizes, { axis: 0 });
    return emit.node('Split', [probabilities, both], { axis }, { outputs: 2 });
  },
  evaluate([a, b]) {
    const [n, m] = [a.shape[a.shape.length - 1]!, b.shape[b.shape.length - 1]!];
    const out = [Float64Array.from(a.data), Float64Array.from(b.data)] as const;
    for (let row = 0; row < a.data.length / n; row++) {
      const parts = [out[0].subarray(row * n, (row + 1) * n), out[1].subarray(row * m, (row + 1) * m)] as const;
      const largest = Math.max(...parts[0], ...parts[1]);
      let total = 0;
      for (const part of parts) {
        for (const value of part) {
          total += Math.exp(value - largest);
        }
      }
      for (const part of parts) {
        part.set(part.map((value) => Math.exp(value - largest) / total));
      }
    }
    return out;
  },
};

export const splitSoftmax = (a: Tensor, b: Tensor): readonly [Tensor, Tensor] => apply(SplitSoftmax, [a, b], {});
