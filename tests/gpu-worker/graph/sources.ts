/** Random inputs for operator cases. */
import * as g from '../../../gpu-worker/graph/index.ts';
import { stream } from '../../../shared/math/random.ts';
import type { Sources } from './cases.ts';

export type Inputs = {
  tensors: g.Tensor[];
  feeds: Record<string, { shape: readonly number[]; data: Float32Array | BigInt64Array }>;
};

/** Collects the inputs that a case asks for; sizes and values depend on the seed only. */
export function collector(seed: number): Inputs & { sources: Sources } {
  const random = stream(seed, 'cases');
  const inputs: Inputs = { tensors: [], feeds: {} };
  let drawn = 0;
  const add = (dtype: 'float32' | 'int64', shape: readonly number[], draw: (n: number, start: number) => number[]) => {
    const n = shape.reduce((a, b) => a * b, 1);
    const name = `input${inputs.tensors.length}`;
    const values = draw(n, drawn);
    drawn += n;
    const tensor = g.input(name, shape, dtype);
    inputs.tensors.push(tensor);
    inputs.feeds[name] = {
      shape,
      data: dtype === 'int64' ? BigInt64Array.from(values, BigInt) : Float32Array.from(values),
    };
    return tensor;
  };
  const sources: Sources = {
    size(low = 1, high = 4) {
      drawn += 1;
      return low + random.integers(1, high - low + 1, { start: drawn - 1 })[0]!;
    },
    float: (shape, low = -2, high = 2) =>
      add('float32', shape, (n, start) => [...random.uniform32(n, { low, high, start })]),
    integer: (shape, below) => add('int64', shape, (n, start) => [...random.integers(n, below, { start })]),
  };
  return { ...inputs, sources };
}

/** Largest absolute difference divided by the largest absolute entry of `expected` (at least `floor`). */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>, floor = 1e-3): number {
  let [difference, size] = [0, floor];
  for (let i = 0; i < expected.length; i++) {
    const gap = Math.abs(Number(actual[i]) - Number(expected[i]));
    difference = Number.isNaN(gap) ? Number.POSITIVE_INFINITY : Math.max(difference, gap);
    size = Math.max(size, Math.abs(expected[i]!));
  }
  return actual.length === expected.length ? difference / size : Number.POSITIVE_INFINITY;
}
