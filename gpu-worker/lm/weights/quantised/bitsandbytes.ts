/**
 * bitsandbytes. 4 bits (nf4, fp4): `weight` uint8 [values / 2, 1], first value in the high nibble, blocks over the
 * flattened matrix with `weight.absmax`, looked up in `weight.quant_map`; its state is JSON stored as bytes. 8 bits:
 * `weight` int8 with `SCB` [out].
 */
import { SextantError } from '../../../../shared/contracts/problem.ts';
import type { StoredTensors } from '../stored-tensors.ts';
import type { MatrixShape, QuantisedMatrix } from './matrix.ts';

const invalid = (message: string) => new SextantError('weights_invalid', message);
const MAX_STATE_BYTES = 2 ** 16;
const BLOCK_LIMIT = 2 ** 20;

/** The matrix of linear layer `name`, or null where it is not stored this way. @throws SextantError `weights_invalid` */
export function bitsandbytesMatrix(tensors: StoredTensors, shape: MatrixShape): QuantisedMatrix | null {
  const dtype = tensors.find(`${shape.name}.weight`)?.dtype;
  if (dtype === 'I8') {
    return int8Matrix(tensors, shape);
  }
  return dtype === 'U8' ? lookedUpMatrix(tensors, shape) : null;
}

function int8Matrix(tensors: StoredTensors, { name, out, inputs }: MatrixShape): QuantisedMatrix {
  const weight = tensors.require(`${name}.weight`, ['I8'], [out, inputs]);
  const scale = tensors.require(`${name}.SCB`, ['F32', 'F16', 'BF16'], [out]);
  const format = `${name}.weight_format`;
  if (tensors.find(format) && tensors.read(format)[0] !== 0) {
    throw new SextantError('model_unsupported', `'${format}': only int8 weights stored row by row are supported`);
  }
  return {
    layout: 'bitsandbytes int8',
    bits: 8,
    group: null,
    bytes: weight.end - weight.begin + scale.end - scale.begin,
    tensors: [weight.name, scale.name],
    decode() {
      const values = tensors.float32(weight.name);
      const scales = tensors.float32(scale.name);
      for (let i = 0; i < values.length; i++) {
        values[i] = (values[i]! * scales[Math.floor(i / inputs)]!) / 127;
      }
      return values;
    },
  };
}

type State = {
  quant_type?: unknown;
  blocksize?: unknown;
  shape?: unknown;
  nested_blocksize?: unknown;
  nested_offset?: unknown;
};

function lookedUpMatrix(tensors: StoredTensors, { name, out, inputs }: MatrixShape): QuantisedMatrix {
  const part = `${name}.weight`;
  const count = out * inputs;
  const weight = tensors.require(part, ['U8']);
  if (weight.end - weight.begin !== Math.ceil(count / 2)) {
    throw invalid(`tensor '${part}' has ${weight.end - weight.begin} bytes for ${count} values of 4 bits`);
  }
  const stateName = ['nf4', 'fp4']
    .map((kind) => `${part}.quant_state.bitsandbytes__${kind}`)
    .find((n) => tensors.find(n));
  if (!stateName) {
    throw invalid(`tensor '${part}.quant_state.bitsandbytes__nf4' is missing`);
  }
  const state = readState(tensors, stateName);
  const block = positive(state.blocksize, `${stateName}: blocksize`);
  if (Array.isArray(state.shape) && state.shape.join() !== `${out},${inputs}`) {
    throw invalid(`'${stateName}' says shape [${state.shape.join()}]; by config.json it is [${out},${inputs}]`);
  }
  const blocks = Math.ceil(count / block);
  const map = tensors.require(`${part}.quant_map`, ['F32'], [16]);
  const nested = tensors.find(`${part}.nested_absmax`) !== undefined;
  const absmax = tensors.require(`${part}.absmax`, nested ? ['U8'] : ['F32', 'F16', 'BF16'], [blocks]);
  const nestedBlock = nested ? positive(state.nested_blocksize, `${stateName}: nested_blocksize`) : 1;
  const nestedParts = nested
    ? [
        tensors.require(`${part}.nested_absmax`, ['F32'], [Math.ceil(blocks / nestedBlock)]),
        tensors.require(`${part}.nested_quant_map`, ['F32'], [256]),
      ]
    : [];
  const offset = state.nested_offset ?? 0;
  if (nested && !(typeof offset === 'number' && Number.isFinite(offset))) {
    throw invalid(`'${stateName}': nested_offset must be a number`);
  }
  const used = [weight, map, absmax, ...nestedParts];
  const largest = (): Float32Array => {
    if (!nested) {
      return tensors.float32(absmax.name);
    }
    const [outer, levels] = nestedParts.map((tensor) => tensors.float32(tensor.name)) as [Float32Array, Float32Array];
    return Float32Array.from(
      tensors.read(absmax.name),
      (code, i) => Math.fround(levels[code]! * outer[Math.floor(i / nestedBlock)]!) + (offset as number),
    );
  };
  return {
    layout: `bitsandbytes ${state.quant_type === 'fp4' ? 'fp4' : 'nf4'}${nested ? ', double quantised' : ''}`,
    bits: 4,
    group: block,
    bytes: used.reduce((sum, { begin, end }) => sum + end - begin, 0),
    tensors: [...used.map(({ name: of }) => of), stateName],
    decode() {
      const packed = tensors.read(part);
      const levels = tensors.float32(map.name);
      const scales = largest();
      const values = new Float32Array(count);
      for (let i = 0; i < count; i++) {
        const byte = packed[i >> 1]!;
        values[i] = levels[i % 2 === 0 ? byte >> 4 : byte & 15]! * scales[Math.floor(i / block)]!;
      }
      return values;
    },
  };
}

function readState(tensors: StoredTensors, name: string): State {
  const { begin, end } = tensors.require(name, ['U8']);
  if (end - begin > MAX_STATE_BYTES) {
    throw invalid(`'${name}' has ${end - begin} bytes`);
  }
  try {
    const state = JSON.parse(new TextDecoder().decode(tensors.read(name))) as unknown;
    if (typeof state === 'object' && state !== null) {
      return state as State;
    }
  } catch {
    // Said below.
  }
  throw invalid(`'${name}' is not a JSON object`);
}

function positive(value: unknown, what: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= BLOCK_LIMIT) {
    return value;
  }
  throw invalid(`'${what}' must be a whole number from 1 to ${BLOCK_LIMIT}, is ${JSON.stringify(value)}`);
}
