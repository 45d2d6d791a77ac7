/** Normalising each activation by itself before encoding, and undoing that after decoding, as some libraries do. */

/**
 * `layer_norm`: (x - mean) / (s + 1e-5) with the sample standard deviation s, undone by s and mean (OpenAI, SAELens);
 * `constant_norm`: x scaled to the norm sqrt(inputs) (SAELens' `constant_norm_rescale`).
 */
export type Normalisation = 'layer_norm' | 'constant_norm';

/** What was taken from each row, and by what a reconstruction is multiplied. */
export type RowFrame = { shift: Float32Array; scale: Float32Array };

const EPSILON = 1e-5;

export function normalised(x: Float32Array, inputs: number, kind: Normalisation): { x: Float32Array; frame: RowFrame } {
  const rows = x.length / inputs;
  const out = new Float32Array(x.length);
  const frame = { shift: new Float32Array(rows), scale: new Float32Array(rows) };
  for (let row = 0; row < rows; row++) {
    const own = x.subarray(row * inputs, (row + 1) * inputs);
    const shift = kind === 'layer_norm' ? own.reduce((sum, value) => sum + value, 0) / inputs : 0;
    const squares = own.reduce((sum, value) => sum + (value - shift) ** 2, 0);
    const scale = Math.sqrt(squares / (kind === 'layer_norm' ? inputs - 1 : inputs));
    const divisor = kind === 'layer_norm' ? scale + EPSILON : scale || 1;
    for (let i = 0; i < inputs; i++) {
      out[row * inputs + i] = (own[i]! - shift) / divisor;
    }
    frame.shift[row] = shift;
    frame.scale[row] = kind === 'layer_norm' ? scale : divisor;
  }
  return { x: out, frame };
}
