/** A product with a matrix that stays packed: the runtime unpacks blocks of codes as it multiplies. For inference on the CPU. */
import { applyOne, GraphError, type Operator, type Tensor } from '../../graph/index.ts';

type PackedAttributes = {
  out: number;
  inputs: number;
  bits: 4 | 8;
  /** Inputs that share a scale. */
  block: number;
  /** Activations are kept in float32, or rounded to int8 block by block, which is faster and coarser. */
  activations: 'float32' | 'int8';
};

const blocksOf = ({ inputs, block }: PackedAttributes): number => Math.ceil(inputs / block);

/** x [rows, inputs], codes uint8 [out, blocks, block * bits / 8], scales [out * blocks], zeros uint8 [out * ceil(blocks * bits / 8)]. */
const PackedLinear: Operator<PackedAttributes, 4> = {
  name: 'PackedLinear',
  infer([x], { inputs, out }) {
    if (x.rank !== 2 || x.shape[1] !== inputs) {
      throw new GraphError('shape_mismatch', `needs x [rows, ${inputs}]`);
    }
    return [{ dtype: 'float32', shape: [x.shape[0]!, out] }];
  },
  onnx(emit, names, { out, inputs, bits, block, activations }) {
    const attributes = {
      K: inputs,
      N: out,
      bits,
      block_size: block,
      accuracy_level: activations === 'int8' ? 4 : 1,
    };
    return emit.node('MatMulNBits', [...names], attributes, { domain: 'com.microsoft' });
  },
  evaluate([x, codes, scales, zeros], attributes) {
    const { out, inputs, bits, block } = attributes;
    const blocks = blocksOf(attributes);
    const rows = x.data.length / inputs;
    const result = new Float64Array(rows * out);
    const field = (data: ArrayLike<number>, from: number, i: number) =>
      bits === 8 ? data[from + i]! : (data[from + (i >> 1)]! >> (4 * (i & 1))) & 15;
    for (let n = 0; n < out; n++) {
      for (let k = 0; k < inputs; k++) {
        const at = n * blocks + Math.floor(k / block);
        const zero = field(zeros.data, n * Math.ceil((blocks * bits) / 8), Math.floor(k / block));
        const w = (field(codes.data, (at * block * bits) / 8, k % block) - zero) * scales.data[at]!;
        for (let row = 0; row < rows; row++) {
          result[row * out + n]! += x.data[row * inputs + k]! * w;
        }
      }
    }
    return [result];
  },
};

export const packedLinear = (
  x: Tensor,
  { codes, scales, zeros }: { codes: Tensor; scales: Tensor; zeros: Tensor },
  attributes: PackedAttributes,
): Tensor => applyOne(PackedLinear, [x, codes, scales, zeros], attributes);
