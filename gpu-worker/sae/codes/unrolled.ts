/** Codes by several proximal-gradient steps, for autoencoders that were trained so. */
import type { EncodeInput, Encoder } from './encoder.ts';
import { decodeCodes, type SparseCodes } from './sparse-codes.ts';
import { type CodeSettings, inferenceCode, type Variant } from './variants.ts';

/** Rows x width values as compressed rows. */
function compressed(z: Float64Array, rows: number, width: number): SparseCodes {
  const starts = new Int32Array(rows + 1);
  const [latents, values]: [number[], number[]] = [[], []];
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < width; i++) {
      const value = z[row * width + i]!;
      if (value === 0) {
        continue;
      }
      latents.push(i);
      values.push(value);
    }
    starts[row + 1] = latents.length;
  }
  return { rows, starts, latents: Int32Array.from(latents), values: Float32Array.from(values) };
}

/**
 * z <- prox(z + step (W^T (x - b - D z) + b_e)) from z = 0, `iterations` times with step 1 at first (AbsTopK, section 2).
 * `input.x` is x - b; all pre-activations are formed, so this is for evaluation, not for speed.
 */
export async function unrolledCodes(
  encoder: Encoder,
  input: EncodeInput,
  decoder: Float32Array,
  variant: Variant,
  settings: CodeSettings,
  { iterations, step }: { iterations: number; step: number },
): Promise<SparseCodes> {
  const { rows, inputs, x } = input;
  const width = input.bias.length;
  let z: Float64Array = inferenceCode(variant, Float64Array.from(await encoder.preActivations(input)), width, settings);
  for (let iteration = 1; iteration < iterations; iteration++) {
    const hat = decodeCodes(compressed(z, rows, width), decoder, inputs);
    const residual = x.map((value, i) => value - hat[i]!);
    const u = await encoder.preActivations({ ...input, x: residual });
    z = inferenceCode(
      variant,
      z.map((value, i) => value + step * u[i]!),
      width,
      settings,
    );
  }
  return compressed(z, rows, width);
}
