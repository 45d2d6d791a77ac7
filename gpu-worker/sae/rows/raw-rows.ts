/** Rows of numbers that lie one after another in a file, read where they are asked for; nothing else of the file is held. */
import { closeSync, openSync, readSync } from 'node:fs';
import { float16Value } from '../../../shared/formats/safetensors-values.ts';

/** How the numbers are stored, little endian. */
export type RowDtype = 'F64' | 'F32' | 'F16' | 'BF16';
export const ROW_BYTES: Readonly<Record<RowDtype, number>> = { F64: 8, F32: 4, F16: 2, BF16: 2 };

export type RawRows = {
  path: string;
  /** For messages: no path of this machine. */
  name: string;
  dtype: RowDtype;
  /** Where the first row begins, bytes. */
  begin: number;
  rows: number;
  width: number;
};

/** Every float16 as a number. */
let halves: Float32Array | null = null;

/** The numbers of `bytes` written into `out` from `at` on. */
function widen(bytes: Uint8Array, dtype: RowDtype, out: Float32Array, at: number): void {
  const count = bytes.length / ROW_BYTES[dtype];
  if (dtype === 'F32') {
    new Uint8Array(out.buffer, out.byteOffset + 4 * at, 4 * count).set(bytes);
  } else if (dtype === 'F64') {
    out.set(new Float64Array(bytes.buffer, bytes.byteOffset, count), at);
  } else {
    const bits = new Uint16Array(bytes.buffer, bytes.byteOffset, count);
    if (dtype === 'F16') {
      halves ??= Float32Array.from({ length: 65_536 }, (_, i) => float16Value(i));
      for (let i = 0; i < count; i++) {
        out[at + i] = halves[bits[i]!]!;
      }
    } else {
      const words = new Uint32Array(out.buffer, out.byteOffset + 4 * at, count);
      for (let i = 0; i < count; i++) {
        words[i] = bits[i]! << 16;
      }
    }
  }
}

/** A stretch of rows, and the row of the output where they go. */
export type RowRange = { from: number; count: number; to: number };

/**
 * Reads stretches of one file into `out` [any number, width].
 * @throws Error where the file has become shorter than it was
 */
export function readRanges(
  { path, dtype, begin, width, name }: RawRows,
  ranges: readonly RowRange[],
  out: Float32Array,
) {
  const rowBytes = width * ROW_BYTES[dtype];
  const largest = ranges.reduce((most, { count }) => Math.max(most, count), 0);
  const room = new Uint8Array(largest * rowBytes);
  const descriptor = openSync(path, 'r');
  try {
    for (const { from, count, to } of ranges) {
      const bytes = room.subarray(0, count * rowBytes);
      let done = 0;
      while (done < bytes.length) {
        const got = readSync(descriptor, bytes, done, bytes.length - done, begin + from * rowBytes + done);
        if (got === 0) {
          throw new Error(`${name} has become shorter while it was read`);
        }
        done += got;
      }
      widen(bytes, dtype, out, to * width);
    }
  } finally {
    closeSync(descriptor);
  }
}
