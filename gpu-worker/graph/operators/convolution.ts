/**
 * One-dimensional convolutions, x [batch, channels, length]. Gradients are written with the forward operators whose CPU
 * kernels are fast: by the input a convolution with flipped weights, by the weights one product over gathered windows.
 */
import { GraphError } from '../errors.ts';
import { staticShape } from '../shape.ts';
import { type AnyOperator, applyOne, commonDType, type Operator, type Tensor } from '../tensor.ts';
import { reshape, transpose } from './layout.ts';
import { filled } from './leaves.ts';
import { matmul } from './matmul.ts';
import { concat, pad, slice } from './parts.ts';
import { sum } from './reductions.ts';

type Window = { stride: number; before: number; after: number };

/** The static lengths of a signal and of the window over it. */
const lengths = (x: Tensor, w: Tensor, purpose: string) => staticShape([x.shape[2]!, w.shape[2]!], purpose);

/** y[b, o, t] = sum over c, k of w[o, c, k] x[b, c, t * stride + k - before], zeros outside. */
const Conv1d: Operator<Window, 2> = {
  name: 'Conv1d',
  infer([x, w], { stride, before, after }) {
    if (x.rank !== 3 || w.rank !== 3 || x.shape[1] !== w.shape[1]) {
      throw new GraphError('shape_mismatch', 'needs x [batch, channels, length] and w [out, channels, window]');
    }
    const [length, window] = lengths(x, w, 'a convolution');
    const positions = Math.floor((length + before + after - window) / stride) + 1;
    if (positions < 1) {
      throw new GraphError('shape_mismatch', `a window of ${window} does not fit`);
    }
    return [{ dtype: commonDType([x, w]), shape: [x.shape[0]!, w.shape[0]!, positions] }];
  },
  onnx: (emit, names, { stride, before, after }, { inputs: [, w] }) =>
    emit.node('Conv', names, {
      kernel_shape: [w.shape[2] as number],
      strides: [stride],
      pads: [before, after],
    }),
  evaluate([x, w], { stride, before }, [output]) {
    const [batch, out, positions] = output.shape as [number, number, number];
    const [, channels, length] = x.shape as [number, number, number];
    const window = w.shape[2]!;
    const y = new Float64Array(x.shape[0]! * out * positions);
    for (let b = 0; b < (batch < 0 ? x.shape[0]! : batch); b++) {
      for (let o = 0; o < out; o++) {
        for (let t = 0; t < positions; t++) {
          let total = 0;
          for (let c = 0; c < channels; c++) {
            for (let k = 0; k < window; k++) {
              const at = t * stride + k - before;
              if (at < 0 || at >= length) {
                continue;
              }
              total += w.data[(o * channels + c) * window + k]! * x.data[(b * channels + c) * length + at]!;
            }
          }
          y[(b * out + o) * positions + t] = total;
        }
      }
    }
    return [y];
  },
  gradient({ inputs: [x, w], by: [dy], attributes: { stride, before } }) {
    const [length, window] = lengths(x, w, 'the gradient of a convolution');
    return [
      correlated(spreadSteps(dy, stride), turned(w), { before: window - 1 - before, length: length }),
      weightGradient(x, dy, { before, stride, window: window }),
    ];
  },
};

/** Weights [out, in, window] as [in, out, window] with the window reversed. */
const turned = (w: Tensor): Tensor => applyOne(Reverse, [transpose(w, [1, 0, 2])], { axis: 2 });

/** `length` positions of a convolution with stride 1 whose input begins `before` positions in; negative `before` cuts. */
function correlated(x: Tensor, w: Tensor, { before, length }: { before: number; length: number }): Tensor {
  const window = w.shape[2] as number;
  const have = x.shape[2] as number;
  const after = length + window - 1 - have - before;
  const start = Math.max(-before, 0);
  const end = have + Math.min(after, 0);
  const cut = slice(x, 2, start, end);
  return applyOne(Conv1d, [cut, w], { stride: 1, before: Math.max(before, 0), after: Math.max(after, 0) });
}

/** d w[o, c, k] = sum over b, t of dy[b, o, t] x[b, c, t * stride + k - before]: one product over windows side by side. */
function weightGradient(
  x: Tensor,
  dy: Tensor,
  { before, stride, window }: { before: number; stride: number; window: number },
): Tensor {
  const [, channels, length] = x.shape as [number, number, number];
  const positions = dy.shape[2] as number;
  const reach = (positions - 1) * stride + 1;
  const padded = pad(x, 2, before, Math.max(reach + window - 1 - length - before, 0));
  const windows = Array.from({ length: window }, (_, k) => slice(padded, 2, k, k + reach, stride));
  const columns = concat(windows, 1);
  const byWindow = sum(matmul(dy, columns, { transB: true }), 0);
  return transpose(reshape(byWindow, [dy.shape[1]!, window, channels]), [0, 2, 1]);
}

/** Positions `stride` apart with zeros between: rows of zeros beside the row of values, turned into columns. */
function spreadSteps(x: Tensor, stride: number): Tensor {
  if (stride === 1) {
    return x;
  }
  const [batch, channels, positions] = x.shape as [number, number, number];
  const n = batch * channels * positions;
  const rows = concat([reshape(x, [1, n]), filled([stride - 1, n], 0, x.dtype)], 0);
  return slice(reshape(transpose(rows), [batch, channels, positions * stride]), 2, 0, (positions - 1) * stride + 1);
}

/** An axis in reverse order. */
const Reverse: Operator<{ axis: number }, 1> = {
  name: 'Reverse',
  infer: ([x]) => [{ dtype: x.dtype, shape: x.shape }],
  onnx: (emit, [x], { axis }) =>
    emit.node('Slice', [x, emit.int64([-1]), emit.int64([-(2 ** 31)]), emit.int64([axis]), emit.int64([-1])]),
  evaluate([x], { axis }) {
    const inner = x.shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
    const size = x.shape[axis]!;
    return [
      Float64Array.from(x.data, (_, i) => {
        const [outer, position, rest] = [Math.floor(i / (inner * size)), Math.floor(i / inner) % size, i % inner];
        return x.data[(outer * size + size - 1 - position) * inner + rest]!;
      }),
    ];
  },
  gradient: ({ by: [dy], attributes }) => [applyOne(Reverse, [dy], attributes)],
};
export const reverse = (x: Tensor, axis = -1): Tensor =>
  applyOne(Reverse, [x], { axis: axis < 0 ? axis + x.rank : axis });

type Padding = number | readonly [number, number];
const ends = (padding: Padding): [number, number] => (typeof padding === 'number' ? [padding, padding] : [...padding]);

/** Convolution of x [batch, channels, length] with w [out, channels, window]; padding on both ends, or [before, after]. */
export function conv1d(x: Tensor, w: Tensor, { stride = 1, padding = 0 as Padding } = {}): Tensor {
  const [before, after] = ends(padding);
  return applyOne(Conv1d, [x, w], { stride, before, after });
}

/**
 * Transposed convolution of x [batch, channels, length] with w [channels, out, window]: the gradient of `conv1d` by its
 * input. Length (length - 1) * stride + window - before - after. Written as a convolution with flipped weights, which
 * the CPU computes several times faster than its own operator.
 */
export function transposedConv1d(x: Tensor, w: Tensor, { stride = 1, padding = 0 as Padding } = {}): Tensor {
  const [before, after] = ends(padding);
  const [length, window] = lengths(x, w, 'a transposed convolution');
  const whole = (length - 1) * stride + window;
  return correlated(spreadSteps(x, stride), turned(w), {
    before: window - 1 - before,
    length: whole - before - after,
  });
}

export const convolution: readonly AnyOperator[] = [Conv1d, Reverse];
