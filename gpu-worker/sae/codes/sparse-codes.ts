/** Sparse codes of a batch, in compressed rows. */
import type { RowFrame } from './normalisation.ts';

/** Entries `starts[r] .. starts[r + 1]` of `latents` and `values` belong to row r; values may be 0. */
export type SparseCodes = {
  rows: number;
  starts: Int32Array;
  latents: Int32Array;
  values: Float32Array;
  /** Where each row was normalised before it was encoded: what undoes that after decoding. */
  frame?: RowFrame;
};

/** Rows of equal length k. */
export const equalRows = (rows: number, k: number, latents: Int32Array, values: Float32Array): SparseCodes => ({
  rows,
  starts: Int32Array.from({ length: rows + 1 }, (_, i) => i * k),
  latents,
  values,
});

/** x_hat - b of every row: sum_j z_j D_j, in float32; rows of the answer are `inputs` long. */
export function decodeCodes(codes: SparseCodes, decoder: Float32Array, inputs: number): Float32Array {
  const out = new Float32Array(codes.rows * inputs);
  for (let row = 0; row < codes.rows; row++) {
    const base = row * inputs;
    for (let entry = codes.starts[row]!; entry < codes.starts[row + 1]!; entry++) {
      const code = codes.values[entry]!;
      if (code === 0) {
        continue;
      }
      const from = codes.latents[entry]! * inputs;
      for (let i = 0; i < inputs; i++) {
        out[base + i]! += code * decoder[from + i]!;
      }
    }
  }
  return out;
}

/** The codes as a dense rows x width matrix. */
export function denseCodes(codes: SparseCodes, width: number): Float32Array {
  const out = new Float32Array(codes.rows * width);
  for (let row = 0; row < codes.rows; row++) {
    for (let entry = codes.starts[row]!; entry < codes.starts[row + 1]!; entry++) {
      out[row * width + codes.latents[entry]!] = codes.values[entry]!;
    }
  }
  return out;
}

/** The codes of some rows. */
export function rowsOf(codes: SparseCodes, rows: readonly number[]): SparseCodes {
  const starts = new Int32Array(rows.length + 1);
  rows.forEach((row, i) => {
    starts[i + 1] = starts[i]! + codes.starts[row + 1]! - codes.starts[row]!;
  });
  const latents = new Int32Array(starts[rows.length]!);
  const values = new Float32Array(latents.length);
  rows.forEach((row, i) => {
    latents.set(codes.latents.subarray(codes.starts[row]!, codes.starts[row + 1]!), starts[i]!);
    values.set(codes.values.subarray(codes.starts[row]!, codes.starts[row + 1]!), starts[i]!);
  });
  return { rows: rows.length, starts, latents, values };
}
