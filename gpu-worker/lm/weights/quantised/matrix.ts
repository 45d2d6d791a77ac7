/** What a layout finds for one linear layer: checked against the headers, not read yet. */

/** Whole-number codes of a matrix W [out, in]: w = (code - zero) * scale, zero and scale by the group of the input. */
export type MatrixCodes = {
  /** [out, in]. */
  codes: Uint8Array;
  /** [out, groups]. */
  zeros: Uint8Array;
  scales: Float32Array;
  groups: number;
  /** Group of each input; null where groups are runs of `group` inputs. */
  groupOf: Int32Array | null;
  group: number;
};

export type QuantisedMatrix = {
  layout: string;
  bits: number;
  /** Inputs that share a scale; null where all inputs of a row (or all of the matrix) do. */
  group: number | null;
  /** Of its stored tensors. */
  bytes: number;
  /** Names of its stored tensors. */
  tensors: readonly string[];
  /** Row-major [out, in]. @throws SextantError `weights_invalid` for values that cannot be, such as a group beyond the last */
  decode(): Float32Array;
  /** Whether inputs of one group lie apart (columns taken in another order). */
  ordered?: boolean;
  /** For layouts of whole-number codes. */
  codes?(): MatrixCodes;
};

export type MatrixShape = { name: string; out: number; inputs: number };

/** The weights that codes stand for, [out, in]. */
export function fromCodes({ codes, zeros, scales, groups, groupOf, group }: MatrixCodes, inputs: number): Float32Array {
  const values = new Float32Array(codes.length);
  const of = groupOf ?? Int32Array.from({ length: inputs }, (_, i) => Math.floor(i / group));
  for (let row = 0, i = 0; i < codes.length; row++) {
    for (let column = 0; column < inputs; column++, i++) {
      const at = row * groups + of[column]!;
      values[i] = (codes[i]! - zeros[at]!) * scales[at]!;
    }
  }
  return values;
}
