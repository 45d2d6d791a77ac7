/** From the settings of a folder to the way each of its matrices is stored. */
import { SextantError } from '../../../../shared/contracts/problem.ts';
import type { StoredTensors } from '../stored-tensors.ts';
import { awqMatrix } from './awq.ts';
import { bitsandbytesMatrix } from './bitsandbytes.ts';
import { packQuantizedMatrix } from './compressed-tensors.ts';
import { packingOf } from './fields.ts';
import { gptqMatrix, offsetByValue } from './gptq.ts';
import type { MatrixShape, QuantisedMatrix } from './matrix.ts';
import { matchOf } from './name-targets.ts';
import { scaledMatrix } from './scaled.ts';
import { type Fields, isObject, numberOf, type QuantisationSettings } from './settings.ts';

/** Finds how a matrix is stored; null where it is plain. @throws SextantError `weights_invalid`, `model_unsupported` */
export type FindMatrix = (shape: MatrixShape) => QuantisedMatrix | null;
type Note = (text: string) => void;

const unsupported = (message: string) => new SextantError('model_unsupported', message);

/**
 * What the settings say of all matrices, checked; `note` hears of labels that lie and of quantised activations.
 * @throws SextantError `model_unsupported` naming a format that is not read
 */
export function layoutsOf(
  { method, fields }: QuantisationSettings,
  tensors: StoredTensors,
  layers: readonly MatrixShape[],
  note: Note,
): FindMatrix {
  switch (method) {
    case 'gptq':
    case 'awq':
      return wordLayouts(method, fields, tensors, layers, note);
    case 'compressed-tensors':
      return compressedLayouts(fields, tensors, note);
    case 'bitsandbytes':
      if (layers.some(({ name }) => tensors.find(`${name}.SCB`))) {
        note('bitsandbytes int8 quantises activations as well; the weights alone are read here');
      }
      return (shape) => bitsandbytesMatrix(tensors, shape);
    default: {
      const scheme = fields.activation_scheme;
      if (scheme !== undefined && scheme !== null) {
        note(`the folder asks for ${String(scheme).slice(0, 20)} FP8 activations; the weights alone are read here`);
      }
      const block = blockOf(fields.weight_block_size);
      return (shape) => scaledMatrix(tensors, shape, { layout: 'fp8', block }, 'F8_E4M3');
    }
  }
}

/** GPTQ and AWQ, which share the names of their tensors: the shape of `qweight` tells them apart, whatever the label. */
function wordLayouts(
  method: 'gptq' | 'awq',
  fields: Fields,
  tensors: StoredTensors,
  layers: readonly MatrixShape[],
  note: Note,
): FindMatrix {
  const group = numberOf(fields, 'group_size', 'q_group_size');
  const bits = numberOf(fields, 'bits', 'w_bit');
  const format = fields[method === 'gptq' ? 'checkpoint_format' : 'version'] ?? fields.format ?? null;
  const known = method === 'gptq' ? ['gptq', 'gptq_v2'] : ['gemm'];
  if (format !== null && !known.includes(String(format).toLowerCase())) {
    throw unsupported(
      `${method} weights in the format '${String(format).slice(0, 40)}'; ${known.join(' and ')} are read`,
    );
  }
  const labelled = format === 'gptq_v2' ? 0 : 1;
  const dynamic = isObject(fields.dynamic);
  let zeroOffset: 0 | 1 | null = null;
  const isAwq = ({ name, out, inputs }: MatrixShape) => {
    const shape = tensors.find(`${name}.qweight`)?.shape;
    return shape?.[0] === inputs && shape[1] === out / 8;
  };
  return (shape) => {
    const weight = tensors.find(`${shape.name}.qweight`);
    if (!weight) {
      return null;
    }
    const awq = isAwq(shape);
    if (awq !== (method === 'awq')) {
      note(`labelled ${method}, but packed as ${awq ? 'awq' : 'gptq'} packs`);
    }
    const size = groupOf(tensors, shape, group, dynamic ? () => {} : note);
    if (awq) {
      return awqMatrix(tensors, shape, { group: size });
    }
    if (zeroOffset === null) {
      const byValue = offsetByValue(tensors, layers);
      zeroOffset = byValue ?? labelled;
      if (byValue !== null && byValue !== labelled) {
        note(
          `labelled ${format ?? 'gptq'}, but its zero points are all stored as those of ${byValue === 1 ? 'gptq' : 'gptq_v2'} ` +
            'are in a symmetric file, and are read so',
        );
      }
    }
    const matrix = gptqMatrix(tensors, shape, { bits: bits ?? 4, group: size, zeroOffset });
    if (matrix && bits !== null && matrix.bits !== bits && !dynamic) {
      note(`labelled ${bits} bits, but stored with ${matrix.bits}`);
    }
    return matrix;
  };
}

/** The group size of a matrix: as labelled where the scales agree, else what they say. */
function groupOf(tensors: StoredTensors, { name, inputs }: MatrixShape, labelled: number | null, note: Note) {
  const groups = tensors.find(`${name}.scales`)?.shape[0];
  if (groups === undefined || groups === Math.ceil(inputs / (labelled ?? inputs))) {
    return labelled;
  }
  if (!(groups >= 1 && inputs % groups === 0)) {
    return labelled;
  }
  note(`labelled group size ${labelled ?? 'of whole rows'}, but stored with ${inputs / groups}`);
  return groups === 1 ? null : inputs / groups;
}

type Scheme = { targets: unknown[]; bits: number; group: number | null; block: readonly [number, number] | null };
const FORMATS = ['pack-quantized', 'int-quantized', 'naive-quantized', 'float-quantized', 'dense', 'mixed-precision'];

function compressedLayouts(fields: Fields, tensors: StoredTensors, note: Note): FindMatrix {
  requireFormat(fields.format);
  if (isObject(fields.sparsity_config) && (fields.sparsity_config.format ?? 'dense') !== 'dense') {
    throw unsupported(
      `compressed-tensors weights in the format '${String(fields.sparsity_config.format).slice(0, 40)}'`,
    );
  }
  if (isObject(fields.kv_cache_scheme)) {
    note('the folder asks for a quantised key-value cache, which is kept in float32 here');
  }
  const groups = isObject(fields.config_groups) ? Object.values(fields.config_groups) : [];
  const schemes = groups.map((group) => schemeOf(group, note));
  const dense = fields.format === 'dense';
  return (shape) => {
    const scheme = choose(schemes, shape.name);
    const packed = tensors.find(`${shape.name}.weight_packed`);
    if (packed) {
      const bits = bitsOf(scheme?.bits ?? 4, shape, packed.shape, note);
      return packQuantizedMatrix(tensors, shape, { bits, group: scheme?.group ?? null });
    }
    const block = scheme?.block ?? null;
    const found =
      scaledMatrix(tensors, shape, { layout: 'compressed-tensors int-quantized', block }, 'I8') ??
      scaledMatrix(tensors, shape, { layout: 'compressed-tensors float-quantized', block }, 'F8_E4M3');
    if (!found && dense && tensors.find(`${shape.name}.weight_scale`)) {
      note('stored dense beside scales: the weights are taken as they stand');
    }
    return found;
  };
}

function requireFormat(format: unknown): void {
  if (format === undefined || format === null || FORMATS.includes(format as string)) {
    return;
  }
  throw unsupported(
    `compressed-tensors weights in the format '${String(format).slice(0, 40)}'; ${FORMATS.slice(0, 5).join(', ')} are read`,
  );
}

function schemeOf(group: unknown, note: Note): Scheme {
  if (!isObject(group)) {
    throw unsupported('config_groups must hold objects');
  }
  requireFormat(group.format);
  for (const [field, what] of [
    ['input_activations', 'input'],
    ['output_activations', 'output'],
  ] as const) {
    const asked = group[field];
    if (isObject(asked)) {
      note(
        `the folder asks for ${what} activations of ${String(asked.num_bits)} bits; the weights alone are read here`,
      );
    }
  }
  const weights = isObject(group.weights) ? group.weights : {};
  const bits = numberOf(weights, 'num_bits') ?? 4;
  if (weights.type === 'float' && bits !== 8) {
    throw unsupported(`weights of ${bits}-bit floats (NVFP4, MXFP4) are not supported`);
  }
  return {
    targets: Array.isArray(group.targets) ? group.targets : ['Linear'],
    bits,
    group: numberOf(weights, 'group_size'),
    block: blockOf(weights.block_structure),
  };
}

/** The scheme that names a module most closely. */
function choose(schemes: readonly Scheme[], name: string): Scheme | null {
  if (schemes.length <= 1) {
    return schemes[0] ?? null;
  }
  const className = name.endsWith('embed_tokens') ? 'Embedding' : 'Linear';
  const closeness = (scheme: Scheme) =>
    Math.max(0, ...scheme.targets.map((target) => matchOf(target, name, className)));
  return schemes.reduce((best, scheme) => (closeness(scheme) > closeness(best) ? scheme : best));
}

/** Bits as labelled where the width of a packed row agrees, else the only width that does. */
function bitsOf(labelled: number, { inputs }: MatrixShape, shape: readonly number[], note: Note): number {
  const fits = (bits: number) => packingOf(inputs, bits, shape[1] ?? 0) !== null;
  if (fits(labelled)) {
    return labelled;
  }
  const others = [2, 3, 4, 5, 6, 7, 8].filter(fits);
  if (others.length !== 1) {
    return labelled;
  }
  note(`labelled ${labelled} bits, but stored with ${others[0]}`);
  return others[0]!;
}

function blockOf(value: unknown): readonly [number, number] | null {
  if (value === undefined || value === null) {
    return null;
  }
  const sizes = Array.isArray(value) ? value : String(value).split('x').map(Number);
  if (sizes.length === 2 && sizes.every((size) => Number.isInteger(size) && size >= 1 && size <= 2 ** 20)) {
    return sizes as [number, number];
  }
  throw unsupported(`blocks of ${JSON.stringify(value)?.slice(0, 40)}; two whole numbers are needed`);
}
