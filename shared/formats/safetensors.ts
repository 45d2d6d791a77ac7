/** Safetensors files held in memory: reading all tensors of one, and writing one. */
import {
  DTYPE_BYTES,
  headerLength,
  parseHeader,
  type SafetensorsDtype,
  SafetensorsError,
  type SafetensorsHeader,
} from './safetensors-header.ts';
import { bfloat16Bits, float16Bits, toFloat32 } from './safetensors-values.ts';

/** A tensor to write: its bytes, little endian. */
export type TensorToWrite = { name: string; dtype: SafetensorsDtype; shape: readonly number[]; bytes: Uint8Array };

/** The tensors of one file; values are read on demand. */
export type Safetensors = {
  header: SafetensorsHeader;
  /** Shape of a tensor. @throws SafetensorsError `safetensors_tensor_missing` */
  shape(name: string): number[];
  bytes(name: string): Uint8Array;
  float32(name: string): Float32Array;
};

/** Reads a whole file. @throws SafetensorsError */
export function readSafetensors(file: Uint8Array): Safetensors {
  const length = headerLength(file, file.length);
  const header = parseHeader(file.subarray(8, 8 + length), file.length);
  const entry = (name: string) => {
    const found = header.tensors.get(name);
    if (!found) {
      throw new SafetensorsError('safetensors_tensor_missing', `no tensor '${name}' in the file`);
    }
    return found;
  };
  const bytes = (name: string) => file.subarray(entry(name).begin, entry(name).end);
  return {
    header,
    shape: (name) => entry(name).shape,
    bytes,
    float32: (name) => toFloat32(bytes(name), entry(name).dtype),
  };
}

/**
 * The bytes before the tensors' own: length and header. The tensors follow in the order given. The header is padded
 * with spaces so that the data begins at a multiple of `align` bytes (8 is the format's custom).
 * @throws SafetensorsError `safetensors_size_mismatch`, `safetensors_duplicate_name`
 */
export function safetensorsPrefix(
  tensors: readonly { name: string; dtype: SafetensorsDtype; shape: readonly number[] }[],
  metadata: Record<string, string> = {},
  align = 8,
): Uint8Array {
  const fields: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) {
    fields.push(['__metadata__', metadata]);
  }
  const names = new Set<string>();
  let offset = 0;
  for (const { name, dtype, shape } of tensors) {
    if (names.has(name) || name === '__metadata__') {
      throw new SafetensorsError('safetensors_duplicate_name', `tensor '${name}' is written twice`);
    }
    names.add(name);
    const end = offset + shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype]);
    fields.push([name, { dtype, shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  // Built by hand: an object would reorder names that look like integers and lose one called __proto__.
  const text = `{${fields.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`;
  const json = new TextEncoder().encode(text);
  const total = Math.ceil((8 + json.length) / align) * align;
  const prefix = new Uint8Array(total).fill(0x20);
  new DataView(prefix.buffer).setUint32(0, total - 8, true);
  new DataView(prefix.buffer).setUint32(4, 0, true);
  prefix.set(json, 8);
  return prefix;
}

/** A whole file. @throws SafetensorsError where bytes and shape disagree or a name occurs twice */
export function writeSafetensors(tensors: readonly TensorToWrite[], metadata: Record<string, string> = {}): Uint8Array {
  const prefix = safetensorsPrefix(tensors, metadata);
  const file = new Uint8Array(prefix.length + tensors.reduce((sum, t) => sum + t.bytes.length, 0));
  file.set(prefix);
  let offset = prefix.length;
  for (const { name, dtype, shape, bytes } of tensors) {
    const expected = shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype]);
    if (bytes.length !== expected) {
      throw new SafetensorsError(
        'safetensors_size_mismatch',
        `tensor '${name}' of shape [${shape}] and dtype ${dtype} takes ${expected} bytes, ${bytes.length} given`,
      );
    }
    file.set(bytes, offset);
    offset += bytes.length;
  }
  return file;
}

/** A float32 tensor ready to write, stored as `dtype`. */
export function floatTensor(
  name: string,
  shape: readonly number[],
  values: Float32Array,
  dtype: 'F32' | 'F16' | 'BF16' = 'F32',
): TensorToWrite {
  if (dtype === 'F32') {
    return { name, dtype, shape, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
  }
  const bits = dtype === 'F16' ? float16Bits : bfloat16Bits;
  return { name, dtype, shape, bytes: new Uint8Array(Uint16Array.from(values, bits).buffer) };
}
