/** Element types of symbolic tensors, and their host representation. */
import type { ElementType } from '../onnx/model.ts';

export type DType = ElementType;
export const FLOATS: readonly DType[] = ['float32', 'float16', 'bfloat16', 'float64'];
export const INTEGERS: readonly DType[] = ['int64', 'int32', 'uint8'];
export const isFloat = (dtype: DType): boolean => FLOATS.includes(dtype);

export const BYTES_PER_ELEMENT: Readonly<Record<DType, number>> = {
  float64: 8,
  int64: 8,
  float32: 4,
  int32: 4,
  float16: 2,
  bfloat16: 2,
  uint8: 1,
  bool: 1,
};

/** What a tensor's elements lie in on the host; 16-bit floats are raw bit patterns. */
export type HostArray = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint16Array | Uint8Array;

/** An array for `length` elements of `dtype`, filled with `values` converted to that type. */
export function hostArray(dtype: DType, values: ArrayLike<number | bigint> | number): HostArray {
  const n = typeof values === 'number' ? values : values.length;
  const at = (i: number): number => (typeof values === 'number' ? 0 : Number(values[i]));
  const fill = <T extends HostArray>(array: T): T => {
    if (typeof values !== 'number') {
      for (let i = 0; i < n; i++) {
        array[i] = at(i);
      }
    }
    return array;
  };
  switch (dtype) {
    case 'float32':
      return fill(new Float32Array(n));
    case 'float64':
      return fill(new Float64Array(n));
    case 'int32':
      return fill(new Int32Array(n));
    case 'int64':
      return typeof values === 'number'
        ? new BigInt64Array(n)
        : BigInt64Array.from({ length: n }, (_, i) => BigInt(values[i]!));
    case 'uint8':
    case 'bool':
      return fill(new Uint8Array(n));
    case 'float16':
    case 'bfloat16':
      throw new TypeError(`${dtype} has no host arithmetic: make it float32 and cast in the graph`);
    default:
      return dtype satisfies never;
  }
}
