/** The element types of GGUF files, block by block, as ggml lays them out. Every block begins with, or holds, float16 scales. */
import { bfloat16Value, float16Value } from '../../../../shared/formats/safetensors-values.ts';
import { fiveBitK, fourBitK, sixBitK, threeBitK, twoBitK } from './k-blocks.ts';

/** Writes the values of the block that begins at byte `at` to `out` from `to` on. */
type BlockReader = (bytes: DataView, at: number, out: Float32Array, to: number) => void;

export type ElementType = { name: string; values: number; bytes: number; bits: number; read: BlockReader };

const half = (bytes: DataView, at: number): number => float16Value(bytes.getUint16(at, true));

/** Two nibbles a byte: the low ones are the first half of the block, the high ones the second. */
function nibbles(
  bytes: DataView,
  at: number,
  out: Float32Array,
  to: number,
  value: (code: number, i: number) => number,
) {
  for (let i = 0; i < 16; i++) {
    const byte = bytes.getUint8(at + i);
    out[to + i] = value(byte & 15, i);
    out[to + 16 + i] = value(byte >> 4, i + 16);
  }
}

/** The fifth bits of a block, as what they add. */
function fifth(bytes: DataView, at: number): (i: number) => number {
  const word = bytes.getUint32(at, true);
  return (i) => ((word >>> i) & 1) << 4;
}

/** A type that stores each value on its own. */
const plain = (name: string, bytes: number, value: (bytes: DataView, at: number) => number): ElementType => ({
  name,
  values: 1,
  bytes,
  bits: 8 * bytes,
  read(data, at, out, to) {
    out[to] = value(data, at);
  },
});

/** By ggml's number of the type. */
export const ELEMENT_TYPES: ReadonlyMap<number, ElementType> = new Map<number, ElementType>([
  [0, plain('F32', 4, (bytes, at) => bytes.getFloat32(at, true))],
  [1, plain('F16', 2, half)],
  [30, plain('BF16', 2, (bytes, at) => bfloat16Value(bytes.getUint16(at, true)))],
  [
    2,
    {
      name: 'Q4_0',
      values: 32,
      bytes: 18,
      bits: 4,
      read(bytes, at, out, to) {
        const scale = half(bytes, at);
        nibbles(bytes, at + 2, out, to, (code) => (code - 8) * scale);
      },
    },
  ],
  [
    3,
    {
      name: 'Q4_1',
      values: 32,
      bytes: 20,
      bits: 4,
      read(bytes, at, out, to) {
        const [scale, least] = [half(bytes, at), half(bytes, at + 2)];
        nibbles(bytes, at + 4, out, to, (code) => code * scale + least);
      },
    },
  ],
  [
    6,
    {
      name: 'Q5_0',
      values: 32,
      bytes: 22,
      bits: 5,
      read(bytes, at, out, to) {
        const scale = half(bytes, at);
        const high = fifth(bytes, at + 2);
        nibbles(bytes, at + 6, out, to, (code, i) => ((code | high(i)) - 16) * scale);
      },
    },
  ],
  [
    7,
    {
      name: 'Q5_1',
      values: 32,
      bytes: 24,
      bits: 5,
      read(bytes, at, out, to) {
        const [scale, least] = [half(bytes, at), half(bytes, at + 2)];
        const high = fifth(bytes, at + 4);
        nibbles(bytes, at + 8, out, to, (code, i) => (code | high(i)) * scale + least);
      },
    },
  ],
  [
    8,
    {
      name: 'Q8_0',
      values: 32,
      bytes: 34,
      bits: 8,
      read(bytes, at, out, to) {
        const scale = half(bytes, at);
        for (let i = 0; i < 32; i++) {
          out[to + i] = bytes.getInt8(at + 2 + i) * scale;
        }
      },
    },
  ],
  [10, { name: 'Q2_K', values: 256, bytes: 84, bits: 2, read: twoBitK }],
  [11, { name: 'Q3_K', values: 256, bytes: 110, bits: 3, read: threeBitK }],
  [12, { name: 'Q4_K', values: 256, bytes: 144, bits: 4, read: fourBitK }],
  [13, { name: 'Q5_K', values: 256, bytes: 176, bits: 5, read: fiveBitK }],
  [14, { name: 'Q6_K', values: 256, bytes: 210, bits: 6, read: sixBitK }],
]);

/** Names of types that are refused, so that the refusal can say which one it was. */
export const OTHER_TYPES: ReadonlyMap<number, string> = new Map([
  [9, 'Q8_1'],
  [15, 'Q8_K'],
  [16, 'IQ2_XXS'],
  [17, 'IQ2_XS'],
  [18, 'IQ3_XXS'],
  [19, 'IQ1_S'],
  [20, 'IQ4_NL'],
  [21, 'IQ3_S'],
  [22, 'IQ2_S'],
  [23, 'IQ4_XS'],
  [24, 'I8'],
  [25, 'I16'],
  [26, 'I32'],
  [27, 'I64'],
  [28, 'F64'],
  [29, 'IQ1_M'],
  [34, 'TQ1_0'],
  [35, 'TQ2_0'],
  [39, 'MXFP4'],
]);

/** The values of whole blocks. */
export function dequantise({ values, bytes, read }: ElementType, data: Uint8Array): Float32Array {
  const blocks = data.length / bytes;
  const out = new Float32Array(blocks * values);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let block = 0; block < blocks; block++) {
    read(view, block * bytes, out, block * values);
  }
  return out;
}
