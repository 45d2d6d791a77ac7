/**
 * Weights stored as 8-bit numbers beside their scales: FP8 (E4M3) of compressed-tensors and of `quant_method: fp8`, and
 * the int8 of compressed-tensors. w = (q - zero) * scale, whatever a name such as `weight_scale_inv` says.
 */
import { SextantError } from '../../../../shared/contracts/problem.ts';
import type { StoredTensor, StoredTensors } from '../stored-tensors.ts';
import type { MatrixShape, QuantisedMatrix } from './matrix.ts';

const FLOATS = ['F32', 'F16', 'BF16'] as const;
const invalid = (message: string) => new SextantError('weights_invalid', message);

type ScaledSettings = {
  layout: string;
  /** Rows and inputs that share a scale, where the scales are by block. */
  block: readonly [number, number] | null;
};

/** The matrix of linear layer `name`, or null where its weight is not of this dtype. @throws SextantError `weights_invalid` */
export function scaledMatrix(
  tensors: StoredTensors,
  { name, out, inputs }: MatrixShape,
  { layout, block }: ScaledSettings,
  dtype: 'F8_E4M3' | 'I8',
): QuantisedMatrix | null {
  const part = `${name}.weight`;
  if (tensors.find(part)?.dtype !== dtype) {
    return null;
  }
  const weight = tensors.require(part, [dtype], [out, inputs]);
  const inverse = `${name}.weight_scale_inv`;
  const scaleName = tensors.find(inverse) ? inverse : `${name}.weight_scale`;
  const scale = tensors.require(scaleName, FLOATS);
  const grid = gridOf(scale, out, inputs, block);
  const zeroName = `${name}.weight_zero_point`;
  const zero = tensors.find(zeroName);
  if (zero && zero.shape.join() !== scale.shape.join()) {
    throw invalid(`tensor '${zeroName}' has shape [${zero.shape}], its scales [${scale.shape}]`);
  }
  if (zero) {
    tensors.require(zeroName, dtype === 'I8' ? ['I8'] : [dtype, ...FLOATS]);
  }
  const used = [weight, scale, ...(zero ? [zero] : [])];
  return {
    layout,
    bits: 8,
    group: grid.columns === 1 ? null : grid.width,
    bytes: used.reduce((sum, { begin, end }) => sum + end - begin, 0),
    tensors: used.map(({ name: of }) => of),
    decode() {
      const values = tensors.float32(part);
      const scales = tensors.float32(scaleName);
      const zeros = zero ? tensors.float32(zeroName) : null;
      for (let row = 0, i = 0; row < out; row++) {
        for (let column = 0; column < inputs; column++, i++) {
          const at = Math.floor(row / grid.height) * grid.columns + Math.floor(column / grid.width);
          values[i] = (values[i]! - (zeros ? zeros[at]! : 0)) * scales[at]!;
        }
      }
      return values;
    },
  };
}

type ScaleGrid = { height: number; width: number; columns: number };

/** Which scale belongs to an element: one for all, one a row, runs of inputs, or blocks whose last may be partial. */
function gridOf({ name, shape }: StoredTensor, out: number, inputs: number, block: ScaledSettings['block']): ScaleGrid {
  const count = shape.reduce((product, size) => product * size, 1);
  if (count === 1) {
    return { height: out, width: inputs, columns: 1 };
  }
  if (shape.length === 1 && shape[0] === out) {
    return { height: 1, width: inputs, columns: 1 };
  }
  const [rows, columns] = shape as [number, number];
  if (shape.length === 2 && block && rows === Math.ceil(out / block[0]) && columns === Math.ceil(inputs / block[1])) {
    return { height: block[0], width: block[1], columns };
  }
  if (shape.length === 2 && rows === out && columns >= 1 && inputs % columns === 0) {
    return { height: 1, width: inputs / columns, columns };
  }
  throw invalid(
    `tensor '${name}' has shape [${shape}]; for a matrix [${out}, ${inputs}] it must be one number, [${out}, groups]` +
      (block ? ` or [${Math.ceil(out / block[0])}, ${Math.ceil(inputs / block[1])}]` : ''),
  );
}
