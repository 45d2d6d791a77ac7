/** Codes by matching pursuit: one latent at a time, each chosen for what the ones before it left (SAELens). */
import type { EncodeInput, Encoder } from './encoder.ts';
import type { SparseCodes } from './sparse-codes.ts';

/** When a row takes no further latent, by the names of SAELens' configuration. */
export type Pursuit = {
  /** Euclidean norm of the residual below which a row is finished; 0 or less: not asked. */
  residualThreshold: number;
  /** Most latents chosen for a row, one that is chosen twice counted twice. */
  maxIterations: number;
  /** Whether a row is finished when the latent chosen had been chosen before; that choice still counts. */
  stopOnDuplicateSupport: boolean;
};

/**
 * r <- x - b; then, as long as a row is not finished, with i the latent of largest r . D_i: z_i <- z_i + relu(r . D_i) and
 * r <- r - relu(r . D_i) D_i. `input.encoder` is D itself, width x inputs, `input.x` is x - b.
 */
export async function pursuitCodes(encoder: Encoder, input: EncodeInput, pursuit: Pursuit): Promise<SparseCodes> {
  const { rows, inputs, encoder: atoms } = input;
  const residual = input.x.slice();
  const found = Array.from({ length: rows }, () => new Map<number, number>());
  let open = Array.from({ length: rows }, (_, row) => row);
  for (let step = 0; step < pursuit.maxIterations && open.length > 0; step++) {
    const x = new Float32Array(open.length * inputs);
    for (const [at, row] of open.entries()) {
      x.set(residual.subarray(row * inputs, (row + 1) * inputs), at * inputs);
    }
    const best = await encoder.top({ ...input, x, rows: open.length }, false, 1);
    open = open.filter((row, at) => take(row, best.latents[at]!, best.values[at]!));
  }
  const latents = found.flatMap((codes) => [...codes.keys()]);
  const values = found.flatMap((codes) => [...codes.values()]);
  const starts = new Int32Array(rows + 1);
  for (const [row, codes] of found.entries()) {
    starts[row + 1] = starts[row]! + codes.size;
  }
  return { rows, starts, latents: Int32Array.from(latents), values: Float32Array.from(values) };

  /** Whether the row goes on. */
  function take(row: number, latent: number, value: number): boolean {
    if (!(value > 0)) {
      // Nothing points along the residual, so that no later step would find anything either.
      return false;
    }
    const codes = found[row]!;
    const again = codes.has(latent);
    codes.set(latent, Math.fround((codes.get(latent) ?? 0) + value));
    let squares = 0;
    for (let i = 0; i < inputs; i++) {
      const left = Math.fround(residual[row * inputs + i]! - value * atoms[latent * inputs + i]!);
      residual[row * inputs + i] = left;
      squares += left * left;
    }
    const { residualThreshold, stopOnDuplicateSupport } = pursuit;
    return !(stopOnDuplicateSupport && again) && !(residualThreshold > 0 && Math.sqrt(squares) < residualThreshold);
  }
}
