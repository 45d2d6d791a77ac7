/** Values of safetensors dtypes as numbers: widening to float32 and float64, and float32 narrowed to half precision. */
import { DTYPE_BYTES, type SafetensorsDtype } from './safetensors-header.ts';

const scratch = new DataView(new ArrayBuffer(4));

/** A float16 bit pattern as a number (exact). */
export function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 31) {
    return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  }
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** An FP8 bit pattern of the kind E4M3 as a number (exact): no infinities, NaN where all but the sign is set. */
function float8Value(bits: number): number {
  const sign = bits & 0x80 ? -1 : 1;
  const exponent = (bits >> 3) & 15;
  const fraction = bits & 7;
  if (exponent === 15 && fraction === 7) {
    return Number.NaN;
  }
  return exponent === 0 ? sign * fraction * 2 ** -9 : sign * (1 + fraction / 8) * 2 ** (exponent - 7);
}

/** A bfloat16 bit pattern as a number (exact): the upper half of a float32. */
export function bfloat16Value(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** The bfloat16 nearest to `value`, ties to even. */
export function bfloat16Bits(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  if (Number.isNaN(value)) {
    return 0x7fc0;
  }
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The float16 nearest to `value` (a float32), ties to even; beyond 65504 it is infinite. */
export function float16Bits(value: number): number {
  if (Number.isNaN(value)) {
    return 0x7e00;
  }
  scratch.setFloat32(0, value);
  const sign = (scratch.getUint32(0) >>> 16) & 0x8000;
  const size = Math.abs(value);
  if (size >= 65520) {
    return sign | 0x7c00;
  }
  // Below 2^-14 the spacing is 2^-24; above, it is 2^(e-10). The division is exact, so one rounding decides.
  const exponent = Math.max(-14, ((scratch.getUint32(0) >>> 23) & 255) - 127);
  const units = roundHalfEven(size / 2 ** (exponent - 10));
  return sign | (units + (exponent + 14) * 1024);
}

function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/**
 * The elements of `bytes` (little endian, dtype `dtype`) as float32; a view without a copy where the bytes are float32
 * already and aligned. Integers beyond 2^24 and float64 lose digits.
 */
export function toFloat32(bytes: Uint8Array, dtype: SafetensorsDtype): Float32Array {
  if (dtype === 'F32' && bytes.byteOffset % 4 === 0) {
    return new Float32Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length / 4);
  }
  const out = new Float32Array(bytes.length / DTYPE_BYTES[dtype]);
  const read = reader(bytes, dtype);
  for (let i = 0; i < out.length; i++) {
    out[i] = read(i);
  }
  return out;
}

/** The elements of `bytes` as float64: exact for every dtype but 64-bit integers beyond 2^53. */
export function toFloat64(bytes: Uint8Array, dtype: SafetensorsDtype): Float64Array {
  const out = new Float64Array(bytes.length / DTYPE_BYTES[dtype]);
  const read = reader(bytes, dtype);
  for (let i = 0; i < out.length; i++) {
    out[i] = read(i);
  }
  return out;
}

function reader(bytes: Uint8Array, dtype: SafetensorsDtype): (index: number) => number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (dtype) {
    case 'F64':
      return (i) => view.getFloat64(i * 8, true);
    case 'F32':
      return (i) => view.getFloat32(i * 4, true);
    case 'F16':
      return (i) => float16Value(view.getUint16(i * 2, true));
    case 'BF16':
      return (i) => bfloat16Value(view.getUint16(i * 2, true));
    case 'F8_E4M3':
      return (i) => float8Value(view.getUint8(i));
    case 'I64':
      return (i) => Number(view.getBigInt64(i * 8, true));
    case 'I32':
      return (i) => view.getInt32(i * 4, true);
    case 'I16':
      return (i) => view.getInt16(i * 2, true);
    case 'I8':
      return (i) => view.getInt8(i);
    case 'U8':
    case 'BOOL':
      return (i) => view.getUint8(i);
    default:
      return dtype satisfies never;
  }
}
