/** Rounded matrices as compressed-tensors stores them (`pack-quantized`): one dense string of bits a row. */
import type { Rounded } from '../methods/grids.ts';

export type PackedTensor = {
  name: string;
  dtype: 'I32' | 'F32' | 'I64';
  shape: readonly number[];
  bytes: Uint8Array;
};

/** The tensors of linear layer `name` with W [out, in]. `signed`: codes run around zero. */
export function packedTensors(
  name: string,
  { codes, scales, zeros, groups, groupOf }: Rounded,
  { bits, signed, asymmetric }: { bits: number; signed: boolean; asymmetric: boolean },
): PackedTensor[] {
  const inputs = groupOf.length;
  const out = codes.length / inputs;
  const middle = signed ? 2 ** (bits - 1) : 0;
  const packed = words(out, inputs, bits, (row, i) => codes[row * inputs + i]! + middle);
  const width = packed.length / out;
  const bytes = (array: Int32Array | Float32Array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  const shape = BigInt64Array.of(BigInt(out), BigInt(inputs));
  const tensors: PackedTensor[] = [
    { name: `${name}.weight_packed`, dtype: 'I32', shape: [out, width], bytes: bytes(packed) },
    { name: `${name}.weight_scale`, dtype: 'F32', shape: [out, groups], bytes: bytes(scales) },
    { name: `${name}.weight_shape`, dtype: 'I64', shape: [2], bytes: new Uint8Array(shape.buffer) },
  ];
  if (!asymmetric) {
    return tensors;
  }
  const byGroup = words(groups, out, bits, (group, row) => zeros[row * groups + group]!);
  const height = byGroup.length / groups;
  const turned = Int32Array.from(byGroup, (_, i) => byGroup[(i % groups) * height + Math.floor(i / groups)]!);
  return [
    ...tensors,
    { name: `${name}.weight_zero_point`, dtype: 'I32', shape: [height, groups], bytes: bytes(turned) },
  ];
}

/** Rows of `count` fields, lowest bits first, as 32-bit words. */
function words(rows: number, count: number, bits: number, field: (row: number, i: number) => number): Int32Array {
  const width = Math.ceil((count * bits) / 32);
  const out = new Int32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < count; i++) {
      const value = field(row, i);
      const at = row * width + Math.floor((i * bits) / 32);
      const shift = (i * bits) % 32;
      out[at]! |= value << shift;
      if (shift + bits > 32) {
        out[at + 1]! |= value >>> (32 - shift);
      }
    }
  }
  return out;
}

/** The `quantization_config` of a folder with such tensors. */
export const packedConfig = (
  { bits, group, asymmetric }: { bits: number; group: number | null; asymmetric: boolean },
  ignore: readonly string[],
): Record<string, unknown> => ({
  quant_method: 'compressed-tensors',
  format: 'pack-quantized',
  quantization_status: 'compressed',
  global_compression_ratio: null,
  ignore,
  kv_cache_scheme: null,
  config_groups: {
    group_0: {
      targets: ['Linear'],
      weights: {
        num_bits: bits,
        type: 'int',
        symmetric: !asymmetric,
        strategy: group === null ? 'channel' : 'group',
        group_size: group,
        dynamic: false,
        actorder: null,
        block_structure: null,
        observer: 'minmax',
        observer_kwargs: {},
      },
      input_activations: null,
      output_activations: null,
    },
  },
});
