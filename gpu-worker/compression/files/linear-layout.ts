/** Matrices of linear layers as [out, in], whichever way they are stored. */
import type { Linear } from '../../../shared/models/architecture.ts';

export function outIn({ weight, layout }: Linear, values: Float32Array): Float32Array {
  if (layout === 'out_in') {
    return values;
  }
  const [inputs, out] = weight.shape as [number, number];
  return turned(values, inputs, out);
}

export function asStored({ weight, layout }: Linear, values: Float32Array): Float32Array {
  if (layout === 'out_in') {
    return values;
  }
  const [inputs, out] = weight.shape as [number, number];
  return turned(values, out, inputs);
}

function turned(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      out[column * rows + row] = values[row * columns + column]!;
    }
  }
  return out;
}
