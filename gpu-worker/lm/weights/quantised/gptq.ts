/**
 * GPTQ checkpoints (AutoGPTQ, GPTQModel): `qweight` int32 [in * bits / 32, out], `qzeros` int32 [groups, out * bits / 32],
 * `scales` [groups, out] and, where columns were taken in another order, `g_idx` int32 [in].
 */
import { SextantError } from '../../../../shared/contracts/problem.ts';
import type { StoredTensors } from '../stored-tensors.ts';
import { fieldsInColumns, fieldsInRows, transposed } from './fields.ts';
import { fromCodes, type MatrixCodes, type MatrixShape, type QuantisedMatrix } from './matrix.ts';

type GptqSettings = {
  bits: number;
  group: number | null;
  /** What is added to a stored zero point: the first format stores them less one. */
  zeroOffset: 0 | 1;
};

const invalid = (message: string) => new SextantError('weights_invalid', message);
const SCALES = ['F16', 'BF16', 'F32'] as const;

/** The matrix of linear layer `name`, or null where it is not stored this way. @throws SextantError `weights_invalid` */
export function gptqMatrix(
  tensors: StoredTensors,
  { name, out, inputs }: MatrixShape,
  settings: GptqSettings,
): QuantisedMatrix | null {
  const parts = {
    weight: `${name}.qweight`,
    zeros: `${name}.qzeros`,
    scales: `${name}.scales`,
    order: `${name}.g_idx`,
  };
  if (!tensors.find(parts.weight)) {
    return null;
  }
  const weight = tensors.require(parts.weight, ['I32'], [null, out]);
  const bits = (32 * weight.shape[0]!) / inputs;
  if (![2, 3, 4, 8].includes(bits)) {
    throw invalid(
      `tensor '${parts.weight}' has shape [${weight.shape}]: for ${inputs} inputs at 2, 3, 4 or 8 bits it must have ` +
        [2, 3, 4, 8].map((b) => (inputs * b) / 32).join(', ') +
        ' rows',
    );
  }
  if ((out * bits) % 32 !== 0) {
    throw invalid(`'${name}': ${out} outputs at ${bits} bits do not fill whole words`);
  }
  const scales = tensors.require(parts.scales, SCALES, [null, out]);
  const groups = scales.shape[0]!;
  const zeros = tensors.require(parts.zeros, ['I32'], [groups, (out * bits) / 32]);
  const order = tensors.find(parts.order) && tensors.require(parts.order, ['I32'], [inputs]);
  const group = settings.group ?? inputs;
  if (groups !== Math.ceil(inputs / group)) {
    throw invalid(
      `tensor '${parts.scales}' has ${groups} groups; ${inputs} inputs in groups of ${group} are ${Math.ceil(inputs / group)}`,
    );
  }
  const codes = (): MatrixCodes => {
    const line = { bits, packing: 'string' as const };
    const byInput = fieldsInColumns(tensors.integers(parts.weight), out, { count: inputs, ...line });
    const mask = 2 ** bits - 1;
    const stored = fieldsInRows(tensors.integers(parts.zeros), groups, { count: out, ...line });
    const groupOf = order ? tensors.integers(parts.order) : null;
    const wrong = groupOf?.find((index) => index < 0 || index >= groups);
    if (wrong !== undefined) {
      throw invalid(`tensor '${parts.order}' names group ${wrong} of ${groups}`);
    }
    return {
      codes: transposed(byInput, inputs, out),
      zeros: transposed(
        stored.map((zero) => (zero + settings.zeroOffset) & mask),
        groups,
        out,
      ),
      scales: transposed(tensors.float32(parts.scales), groups, out),
      groups,
      groupOf: groupOf?.every((index, i) => index === Math.floor(i / group)) ? null : groupOf,
      group,
    };
  };
  const used = [weight, zeros, scales, ...(order ? [order] : [])];
  return {
    layout: 'gptq',
    bits,
    group: settings.group,
    bytes: used.reduce((sum, { begin, end }) => sum + end - begin, 0),
    tensors: used.map(({ name: part }) => part),
    ordered: order !== undefined && tensors.integers(parts.order).some((index, i) => index !== Math.floor(i / group)),
    decode: () => fromCodes(codes(), inputs),
    codes,
  };
}

/**
 * What the stored zero points of a symmetric file say about its format, whatever its label: all of them one below the
 * middle (offset 1), or at it (offset 0); null where the zero points differ, as those of asymmetric files do.
 */
export function offsetByValue(tensors: StoredTensors, layers: readonly MatrixShape[]): 0 | 1 | null {
  let found: 0 | 1 | null = null;
  for (const { name, inputs } of layers) {
    const weight = tensors.find(`${name}.qweight`);
    const zeros = tensors.find(`${name}.qzeros`);
    if (!weight || !zeros || zeros.dtype !== 'I32' || zeros.shape.length !== 2) {
      continue;
    }
    const bits = (32 * weight.shape[0]!) / inputs;
    if (![2, 3, 4, 8].includes(bits)) {
      return null;
    }
    const middle = 2 ** (bits - 1);
    const [groups, words] = zeros.shape as [number, number];
    const count = Math.floor((words * 32) / bits);
    if (groups * count === 0) {
      return null;
    }
    const stored = fieldsInRows(tensors.integers(zeros.name), groups, { count, bits, packing: 'string' });
    const offset = stored[0] === middle ? 0 : stored[0] === middle - 1 ? 1 : null;
    if (offset === null || (found !== null && found !== offset) || !stored.every((zero) => zero === stored[0])) {
      return null;
    }
    found = offset;
  }
  return found;
}
