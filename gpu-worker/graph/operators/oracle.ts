/** Loops for the naive float64 values of operators. Clarity before speed: these are the definitions. */
import { stridesOf } from '../shape.ts';
import type { Dense } from '../tensor.ts';

/** Calls `visit` with every index of `shape` in row-major order; the array is reused. */
export function eachIndex(shape: readonly number[], visit: (index: readonly number[], flat: number) => void): void {
  const index = shape.map(() => 0);
  const total = shape.reduce((product, dim) => product * dim, 1);
  for (let flat = 0; flat < total; flat++) {
    visit(index, flat);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]! += 1;
      if (index[axis]! < shape[axis]!) {
        break;
      }
      index[axis] = 0;
    }
  }
}

/** Offset in `array` of an index of a shape that `array` broadcasts to. */
export function broadcastOffset({ shape }: Dense, index: readonly number[]): number {
  const lead = index.length - shape.length;
  let offset = 0;
  for (let axis = 0; axis < shape.length; axis++) {
    offset = offset * shape[axis]! + (shape[axis] === 1 ? 0 : index[axis + lead]!);
  }
  return offset;
}

/** One function applied at every index of the broadcast of `inputs`. */
export function mapBroadcast(inputs: readonly Dense[], f: (...values: number[]) => number): Float64Array {
  const rank = Math.max(...inputs.map(({ shape }) => shape.length));
  const shape = Array.from({ length: rank }, (_, i) =>
    inputs.reduce((size, input) => {
      const dim = input.shape[input.shape.length - rank + i] ?? 1;
      return dim === 1 ? size : dim;
    }, 1),
  );
  const out = new Float64Array(shape.reduce((product, dim) => product * dim, 1));
  eachIndex(shape, (index, flat) => {
    out[flat] = f(...inputs.map((input) => input.data[broadcastOffset(input, index)]!));
  });
  return out;
}

/** Calls `visit` with each line of `x` along `axis`: its values, and how to write a value back at a position. */
export function eachLine(
  { shape, data }: Dense,
  axis: number,
  visit: (line: Float64Array, offsetOf: (position: number) => number, lineIndex: number) => void,
): void {
  const stride = stridesOf(shape)[axis]!;
  const length = shape[axis]!;
  const lines = data.length / Math.max(length, 1);
  for (let i = 0; i < lines; i++) {
    const start = Math.floor(i / stride) * stride * length + (i % stride);
    const offsetOf = (position: number) => start + position * stride;
    visit(
      Float64Array.from({ length }, (_, position) => data[offsetOf(position)]!),
      offsetOf,
      i,
    );
  }
}
