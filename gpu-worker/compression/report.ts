/** What became of a matrix and of a block. */
import type { Linear } from '../../shared/models/architecture.ts';
import type { HeldOutInputs } from './statistics/held-out-inputs.ts';

export type MatrixReport = {
  name: string;
  /** Share of entries that are zero. */
  sparsity: number;
  /** Of a weight as it is stored. */
  bits: number;
  /** Sum of |(W' - W) x|^2 over that of |W x|^2, on held-out text. */
  relative_error: number;
  bytes: number;
  dense_bytes: number;
  /** False where its Hessian could not be factorised; it is then stored as it was. */
  compressed: boolean;
};

export type BlockReport = {
  layer: number;
  matrices: MatrixReport[];
  /** Relative squared error of the stream that leaves the block, on held-out text: all of it, and what arose in it. */
  stream_error: number;
  arisen: number;
};

type Stages = {
  /** The matrix as it was, [out, in]; what it became for the block's own inputs and outputs; and as it is stored. */
  w: Float32Array;
  effective: Float32Array;
  final: Float32Array;
};

export async function reportOf(
  { weight }: Linear,
  { w, effective, final }: Stages,
  heldOut: HeldOutInputs,
  bytes: number,
  compressed: boolean,
): Promise<MatrixReport> {
  const difference = new Float32Array(w.length);
  let zeros = 0;
  for (let i = 0; i < w.length; i++) {
    difference[i] = effective[i]! - w[i]!;
    zeros += final[i] === 0 ? 1 : 0;
  }
  const whole = await heldOut.energy(w);
  return {
    name: weight.name,
    sparsity: zeros / final.length,
    bits: (8 * bytes) / w.length,
    relative_error: whole > 0 ? Math.max(0, await heldOut.energy(difference)) / whole : 0,
    bytes,
    dense_bytes: 4 * w.length,
    compressed,
  };
}
