/** Codes that no variant of ours has and other libraries write: for applying an autoencoder, not for training one. */
import type { EncodeInput, Encoder } from './encoder.ts';
import type { SparseCodes } from './sparse-codes.ts';
import { largest } from './variants.ts';

/**
 * What a row of pre-activations u becomes. `groupmax`: the latents in k groups of neighbours, of each the largest relu(u)
 * (sparsify); `tanh_relu`: tanh(relu(u)) (SAELens); `linear`: u itself, and `largest_k`: the k largest u with their signs
 * (OpenAI).
 */
export type ForeignCode = 'groupmax' | 'tanh_relu' | 'linear' | 'largest_k';

const CODES: Record<ForeignCode, (u: Float32Array, k: number) => Float32Array> = {
  groupmax(u, k) {
    const z = new Float32Array(u.length);
    const size = u.length / k;
    for (let first = 0; first < u.length; first += size) {
      let best = first;
      for (let i = first; i < first + size; i++) {
        if (u[i]! > u[best]!) {
          best = i;
        }
      }
      z[best] = Math.max(0, u[best]!);
    }
    return z;
  },
  tanh_relu: (u) => u.map((value) => Math.tanh(Math.max(0, value))),
  linear: (u) => u,
  largest_k(u, k) {
    const z = new Float32Array(u.length);
    for (const i of largest(u, k)) {
      z[i] = u[i]!;
    }
    return z;
  },
};

/** Codes of all rows; their pre-activations are formed a part at a time. */
export async function foreignCodes(
  encoder: Encoder,
  input: EncodeInput,
  code: ForeignCode,
  k: number,
): Promise<SparseCodes> {
  const { rows, inputs } = input;
  const width = input.bias.length;
  const step = Math.max(1, Math.floor(2 ** 23 / width));
  const starts = new Int32Array(rows + 1);
  const [latents, values]: [number[], number[]] = [[], []];
  for (let first = 0; first < rows; first += step) {
    const last = Math.min(rows, first + step);
    const x = input.x.subarray(first * inputs, last * inputs);
    const u = await encoder.preActivations({ ...input, x, rows: last - first });
    for (let row = first; row < last; row++) {
      const z = CODES[code](u.subarray((row - first) * width, (row - first + 1) * width), k);
      for (const [i, value] of z.entries()) {
        if (value === 0) {
          continue;
        }
        latents.push(i);
        values.push(value);
      }
      starts[row + 1] = latents.length;
    }
  }
  return { rows, starts, latents: Int32Array.from(latents), values: Float32Array.from(values) };
}
