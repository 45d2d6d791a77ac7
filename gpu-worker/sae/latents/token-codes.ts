/** The codes of a text token by token, as readers look at them. */
import type { SparseCodes } from '../codes/sparse-codes.ts';

type TokenCodes = {
  /** With their signs, the largest magnitude first. */
  codes: { latent: number; code: number }[];
  /** |x - x_hat|^2 / |x|^2; 0 where x is 0. */
  error: number;
};

/**
 * Of one row.
 * @param x and hat activations and their reconstructions [rows, inputs]
 */
export function tokenCodes(
  codes: SparseCodes,
  row: number,
  { x, hat, inputs, strongest }: { x: Float32Array; hat: Float32Array; inputs: number; strongest: number },
): TokenCodes {
  const found = [];
  const [from, to] = [codes.starts[row] ?? 0, codes.starts[row + 1] ?? 0];
  for (let entry = from; entry < to; entry++) {
    const [latent, code] = [codes.latents[entry] ?? 0, codes.values[entry] ?? 0];
    if (code !== 0) {
      found.push({ latent, code });
    }
  }
  found.sort((a, b) => Math.abs(b.code) - Math.abs(a.code) || a.latent - b.latent);
  let [error, size] = [0, 0];
  for (let j = row * inputs; j < (row + 1) * inputs; j++) {
    const [value, near] = [x[j] ?? 0, hat[j] ?? 0];
    error += (value - near) ** 2;
    size += value ** 2;
  }
  return { codes: found.slice(0, strongest), error: size > 0 ? error / size : 0 };
}
