/** Host tensors and their checking against a program's ports. */
import { Tensor as OrtTensor } from 'onnxruntime-node';
import type { DType, HostArray, Port } from '../graph/index.ts';
import { EngineError } from './errors.ts';

export type HostTensor = { dtype: DType; shape: readonly number[]; data: HostArray };

/**
 * What may be fed: an array alone where the port's sizes are all static, else with its shape. A number feeds a scalar.
 * A tensor that lies on the device is passed on as it is.
 */
type HostFeed = HostArray | { shape: readonly number[]; data: HostArray } | number;
export type FeedValue = HostFeed | OrtTensor;

const ARRAYS: Readonly<Partial<Record<DType, new (n: number) => HostArray>>> = {
  float32: Float32Array,
  float64: Float64Array,
  int64: BigInt64Array,
  int32: Int32Array,
  float16: Uint16Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

const show = ({ name, dtype, shape }: Port) => `'${name}' is ${dtype}[${shape.join(', ')}]`;
const product = (shape: readonly number[]) => shape.reduce((total, dim) => total * dim, 1);

/** A checked value for the runtime; symbols of the port's shape are bound in `symbols` and must agree between feeds. */
export function toRuntime(port: Port, value: FeedValue, symbols: Map<string, number>): OrtTensor {
  if (isDeviceValue(value)) {
    return value;
  }
  const given = typeof value === 'number' ? scalarArray(port, value) : value;
  const data = 'shape' in given ? given.data : given;
  const shape = 'shape' in given ? given.shape : staticShape(port);
  const Expected = ARRAYS[port.dtype];
  const right = Expected !== undefined && data instanceof Expected;
  if (!right) {
    throw new EngineError('feed_mismatch', `${show(port)}: needs a ${Expected?.name}, got ${data?.constructor?.name}`);
  }
  if (data.length !== product(shape) || !fits(port, shape, symbols)) {
    throw new EngineError('feed_mismatch', `${show(port)}: got ${data.length} values of shape [${shape.join(', ')}]`);
  }
  const tensor = new OrtTensor(port.dtype as 'float32', data as Float32Array, shape);
  // Where JavaScript has Float16Array the library wraps the bits in one, which its native half cannot read.
  if (port.dtype === 'float16') {
    Object.assign(tensor, { cpuData: data });
  }
  return tensor;
}

function scalarArray(port: Port, value: number): HostArray {
  const Expected = ARRAYS[port.dtype]!;
  const array = new Expected(1);
  if (array instanceof BigInt64Array) {
    array[0] = BigInt(value);
  } else {
    array[0] = value;
  }
  return array;
}

function staticShape(port: Port): number[] {
  return port.shape.map((dim) => {
    if (typeof dim === 'number') {
      return dim;
    }
    throw new EngineError('feed_mismatch', `${show(port)}: give the shape with the data, '${dim}' is not static`);
  });
}

function fits(port: Port, shape: readonly number[], symbols: Map<string, number>): boolean {
  if (shape.length !== port.shape.length) {
    return false;
  }
  return port.shape.every((dim, i) => {
    const size = shape[i]!;
    if (typeof dim === 'number') {
      return dim === size;
    }
    if (!Number.isSafeInteger(size) || size < 0) {
      return false;
    }
    const known = symbols.get(dim);
    symbols.set(dim, size);
    return known === undefined || known === size;
  });
}

/** A host tensor from what the runtime returned. */
export const fromRuntime = (tensor: OrtTensor): HostTensor => ({
  dtype: tensor.type as DType,
  shape: tensor.dims,
  data: hostData(tensor),
});

/** 16-bit floats as bit patterns, whatever the library made of them. */
function hostData({ type, data }: OrtTensor): HostArray {
  if (type !== 'float16' || data instanceof Uint16Array) {
    return data as HostArray;
  }
  const { buffer, byteOffset, length } = data as unknown as Uint16Array;
  return new Uint16Array(buffer, byteOffset, length);
}

const isDeviceValue = (value: FeedValue): value is OrtTensor => value instanceof OrtTensor;
