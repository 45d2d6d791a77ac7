/** AWQ checkpoints in the `gemm` version: `qweight` int32 [in, out / 8], `qzeros` [groups, out / 8], `scales` [groups, out]. */
import { SextantError } from '../../../../shared/contracts/problem.ts';
import type { StoredTensors } from '../stored-tensors.ts';
import { fieldsInRows, transposed } from './fields.ts';
import { fromCodes, type MatrixCodes, type MatrixShape, type QuantisedMatrix } from './matrix.ts';

/** Column, within its eight, of each nibble of a word. */
const COLUMN = [0, 2, 4, 6, 1, 3, 5, 7];

/** The matrix of linear layer `name`, or null where it is not stored this way. @throws SextantError `weights_invalid` */
export function awqMatrix(
  tensors: StoredTensors,
  { name, out, inputs }: MatrixShape,
  { group }: { group: number | null },
): QuantisedMatrix | null {
  const parts = { weight: `${name}.qweight`, zeros: `${name}.qzeros`, scales: `${name}.scales` };
  if (!tensors.find(parts.weight)) {
    return null;
  }
  if (out % 8 !== 0) {
    throw new SextantError('weights_invalid', `'${name}': ${out} outputs do not fill words of eight`);
  }
  const weight = tensors.require(parts.weight, ['I32'], [inputs, out / 8]);
  const size = group ?? inputs;
  const groups = Math.ceil(inputs / size);
  const zeros = tensors.require(parts.zeros, ['I32'], [groups, out / 8]);
  const scales = tensors.require(parts.scales, ['F16', 'BF16', 'F32'], [groups, out]);
  const inOrder = (words: Int32Array, rows: number): Uint8Array => {
    const nibbles = fieldsInRows(words, rows, { count: out, bits: 4, packing: 'string' });
    const ordered = new Uint8Array(nibbles.length);
    for (let at = 0; at < nibbles.length; at += 8) {
      for (let j = 0; j < 8; j++) {
        ordered[at + COLUMN[j]!] = nibbles[at + j]!;
      }
    }
    return transposed(ordered, rows, out);
  };
  const codes = (): MatrixCodes => ({
    codes: inOrder(tensors.integers(parts.weight), inputs),
    zeros: inOrder(tensors.integers(parts.zeros), groups),
    scales: transposed(tensors.float32(parts.scales), groups, out),
    groups,
    groupOf: null,
    group: size,
  });
  const used = [weight, zeros, scales];
  return {
    layout: 'awq gemm',
    bits: 4,
    group,
    bytes: used.reduce((sum, { begin, end }) => sum + end - begin, 0),
    tensors: used.map(({ name: part }) => part),
    decode: () => fromCodes(codes(), inputs),
    codes,
  };
}
