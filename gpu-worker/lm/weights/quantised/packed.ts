/** Matrices of whole-number codes as the runtime's product with packed weights reads them. */
import { bytesOf, type DenseTensor } from '../dense-folder.ts';
import type { MatrixCodes, QuantisedMatrix } from './matrix.ts';

/** Where a packed matrix lies in a folder, by the names of its tensors there. */
export type PackedMatrix = {
  out: number;
  inputs: number;
  bits: 4 | 8;
  block: number;
  names: { codes: string; scales: string; zeros: string };
};

/** Blocks that the runtime unpacks. */
const BLOCKS = [16, 32, 64, 128, 256];

/**
 * How a matrix can stay packed: 4 or 8 bits in runs of 16 to 256 inputs, in their own order; null otherwise. Rows that share
 * one scale are cut into blocks that repeat it.
 */
export function packedForm(
  name: string,
  { bits, group, codes, ordered }: QuantisedMatrix,
  [out, inputs]: readonly [number, number],
): PackedMatrix | null {
  if (!codes || ordered || (bits !== 4 && bits !== 8)) {
    return null;
  }
  const block = group ?? BLOCKS.findLast((size) => inputs % size === 0) ?? 0;
  if (!BLOCKS.includes(block) || inputs % block !== 0) {
    return null;
  }
  const names = { codes: `${name}.codes`, scales: `${name}.scales`, zeros: `${name}.zeros` };
  return { out, inputs, bits, block, names };
}

/** The tensors to write; codes are read once. */
export function packedTensors(
  { out, inputs, bits, block, names }: PackedMatrix,
  matrix: QuantisedMatrix,
): DenseTensor[] {
  const blocks = inputs / block;
  let read: MatrixCodes | null = null;
  const codes = (): MatrixCodes => {
    if (!matrix.codes) {
      throw new RangeError(`'${names.codes}' has no codes`);
    }
    read ??= matrix.codes();
    return read;
  };
  const groupOf = (row: number, at: number, { groups }: MatrixCodes) => row * groups + (groups === 1 ? 0 : at);
  const zeroBytes = Math.ceil((blocks * bits) / 8);
  return [
    {
      name: names.codes,
      dtype: 'U8',
      shape: [out, blocks, (block * bits) / 8],
      read: () => (bits === 8 ? codes().codes : nibbles(codes().codes)),
    },
    {
      name: names.scales,
      dtype: 'F32',
      shape: [out * blocks],
      read() {
        const own = codes();
        return bytesOf(
          Float32Array.from(
            { length: out * blocks },
            (_, i) => own.scales[groupOf(Math.floor(i / blocks), i % blocks, own)]!,
          ),
        );
      },
    },
    {
      name: names.zeros,
      dtype: 'U8',
      shape: [out * zeroBytes],
      read() {
        const own = codes();
        const bytes = new Uint8Array(out * zeroBytes);
        for (let row = 0; row < out; row++) {
          for (let at = 0; at < blocks; at++) {
            const zero = own.zeros[groupOf(row, at, own)]!;
            if (bits === 8) {
              bytes[row * zeroBytes + at] = zero;
            } else {
              bytes[row * zeroBytes + (at >> 1)]! |= zero << (4 * (at & 1));
            }
          }
        }
        read = null;
        return bytes;
      },
    },
  ];
}

function nibbles(codes: Uint8Array): Uint8Array {
  const out = new Uint8Array(codes.length / 2);
  for (let i = 0; i < out.length; i++) {
    out[i] = codes[2 * i]! | (codes[2 * i + 1]! << 4);
  }
  return out;
}

/** The float32 weights of a packed matrix, [out, in]. */
export function unpacked(
  { out, inputs, bits, block }: PackedMatrix,
  codes: Uint8Array,
  scales: Float32Array,
  zeros: Uint8Array,
): Float32Array {
  const blocks = inputs / block;
  const zeroBytes = Math.ceil((blocks * bits) / 8);
  const values = new Float32Array(out * inputs);
  for (let row = 0, i = 0; row < out; row++) {
    for (let k = 0; k < inputs; k++, i++) {
      const at = Math.floor(k / block);
      const code = bits === 8 ? codes[i]! : (codes[i >> 1]! >> (4 * (i & 1))) & 15;
      const zero =
        bits === 8 ? zeros[row * zeroBytes + at]! : (zeros[row * zeroBytes + (at >> 1)]! >> (4 * (at & 1))) & 15;
      values[i] = (code - zero) * scales[row * blocks + at]!;
    }
  }
  return values;
}
