/**
 * compressed-tensors, format `pack-quantized`: `weight_packed` int32 [out, words], `weight_scale` [out, groups],
 * `weight_shape` int64 [2], optional `weight_zero_point` (packed along the outputs) and `weight_g_idx` [in]. Fields are
 * signed numbers stored with 2^(bits - 1) added.
 */
import { SextantError } from '../../../../shared/contracts/problem.ts';
import type { StoredTensors } from '../stored-tensors.ts';
import { fieldsInColumns, fieldsInRows, type Packing, packingOf } from './fields.ts';
import { fromCodes, type MatrixCodes, type MatrixShape, type QuantisedMatrix } from './matrix.ts';

const invalid = (message: string) => new SextantError('weights_invalid', message);

/** The matrix of linear layer `name`, or null where it is not stored this way. @throws SextantError `weights_invalid` */
export function packQuantizedMatrix(
  tensors: StoredTensors,
  { name, out, inputs }: MatrixShape,
  { bits, group: asked }: { bits: number; group: number | null },
): QuantisedMatrix | null {
  const part = (suffix: string) => `${name}.weight_${suffix}`;
  if (!tensors.find(part('packed'))) {
    return null;
  }
  const packed = tensors.require(part('packed'), ['I32'], [out, null]);
  const packing = packingOf(inputs, bits, packed.shape[1]!);
  if (!packing) {
    throw invalid(
      `tensor '${packed.name}' has ${packed.shape[1]} words a row, which ${inputs} values of ${bits} bits do not take`,
    );
  }
  const scale = tensors.require(part('scale'), ['F32', 'F16', 'BF16']);
  const groups = groupsOf(scale, out);
  const group = asked !== null && Math.ceil(inputs / asked) === groups ? asked : inputs / groups;
  if (!Number.isInteger(group)) {
    throw invalid(`tensor '${scale.name}' has ${groups} groups for ${inputs} inputs`);
  }
  const shape = tensors.find(part('shape')) && tensors.require(part('shape'), ['I64', 'I32'], [2]);
  const order = tensors.find(part('g_idx')) && tensors.require(part('g_idx'), ['I32', 'I64'], [inputs]);
  const zero = tensors.find(part('zero_point'));
  const zeroLine = zero && zeroPacking(tensors, zero.name, out, groups, bits);
  const codes = (): MatrixCodes => {
    if (shape) {
      const [rows, columns] = tensors.integers(shape.name);
      if (rows !== out || columns !== inputs) {
        throw invalid(`tensor '${shape.name}' says [${rows}, ${columns}]; by config.json it is [${out}, ${inputs}]`);
      }
    }
    const stored = tensors.float32(scale.name);
    const middle = 2 ** (bits - 1);
    const zeros = (): Uint8Array => {
      if (!zero || !zeroLine) {
        return new Uint8Array(out * groups).fill(middle);
      }
      if (zeroLine === 'plain') {
        return Uint8Array.from(tensors.float32(zero.name), (value) => value + middle);
      }
      return fieldsInColumns(tensors.integers(zero.name), groups, { count: out, bits, packing: zeroLine });
    };
    const groupOf = order ? usedOrder(tensors.integers(order.name), groups, group, order.name) : null;
    return {
      codes: fieldsInRows(tensors.integers(packed.name), out, { count: inputs, bits, packing }),
      zeros: zeros(),
      scales: stored.length === 1 ? new Float32Array(out).fill(stored[0]!) : stored,
      groups,
      groupOf,
      group,
    };
  };
  const used = [packed, scale, ...[shape, order, zero].filter((tensor) => tensor !== undefined)];
  return {
    layout: 'compressed-tensors pack-quantized',
    bits,
    group: groups === 1 ? null : group,
    bytes: used.reduce((sum, { begin, end }) => sum + end - begin, 0),
    tensors: used.map(({ name: of }) => of),
    ordered: order !== undefined && usedOrder(tensors.integers(order.name), groups, group, order.name) !== null,
    decode: () => fromCodes(codes(), inputs),
    codes,
  };
}

/** Scales by group and row, by row, or one for all. */
function groupsOf({ name, shape }: { name: string; shape: readonly number[] }, out: number): number {
  if (shape.reduce((product, size) => product * size, 1) === 1) {
    return 1;
  }
  if (shape[0] === out && (shape.length === 1 || (shape.length === 2 && shape[1]! >= 1))) {
    return shape[1] ?? 1;
  }
  throw invalid(`tensor '${name}' has shape [${shape}]; it must be [${out}, groups]`);
}

/** Zero points: packed along the outputs, or one to a byte. */
function zeroPacking(
  tensors: StoredTensors,
  name: string,
  out: number,
  groups: number,
  bits: number,
): Packing | 'plain' {
  const { dtype, shape } = tensors.require(name, ['I32', 'I8']);
  if (dtype === 'I8') {
    if (shape.reduce((product, size) => product * size, 1) !== out * groups) {
      throw invalid(`tensor '${name}' has shape [${shape}]; it must be [${out}, ${groups}]`);
    }
    return 'plain';
  }
  const packing = shape.length === 2 && shape[1] === groups ? packingOf(out, bits, shape[0]!) : null;
  if (!packing) {
    throw invalid(`tensor '${name}' has shape [${shape}], which is not ${out} x ${groups} packed at ${bits} bits`);
  }
  return packing;
}

/** The group of each input; null where it is a run after the other, or was never filled in (all -1). */
function usedOrder(groupOf: Int32Array, groups: number, group: number, name: string): Int32Array | null {
  if (groupOf.every((index) => index === -1) || groupOf.every((index, i) => index === Math.floor(i / group))) {
    return null;
  }
  const wrong = groupOf.find((index) => index < 0 || index >= groups);
  if (wrong !== undefined) {
    throw invalid(`tensor '${name}' names group ${wrong} of ${groups}`);
  }
  return groupOf;
}
