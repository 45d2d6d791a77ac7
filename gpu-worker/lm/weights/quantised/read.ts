/** Opening a folder whose weights are quantised: every matrix found and checked, then written dense. */
import type { Linear, ModelWeights, Weight } from '../../../../shared/models/architecture.ts';
import { listWeights } from '../../../../shared/models/architecture.ts';
import { familyOf, parseArchitecture } from '../../../../shared/models/describe.ts';
import { named } from '../../named.ts';
import { bytesOf, type DenseTensor, type Storage, writeDenseFolder } from '../dense-folder.ts';
import { KEPT_FILES } from '../kept-files.ts';
import { readStoredFile, readStoredTensors, type StoredTensor, type StoredTensors } from '../stored-tensors.ts';
import { packQuantizedMatrix } from './compressed-tensors.ts';
import { transposed } from './fields.ts';
import { type FindMatrix, layoutsOf } from './layouts.ts';
import type { MatrixShape, QuantisedMatrix } from './matrix.ts';
import { type PackedMatrix, packedForm, packedTensors } from './packed.ts';
import { type Fields, type QuantisationSettings, readSettings } from './settings.ts';

/** The config without what it says of the weights' storage. */
function plainConfig(config: Fields): Record<string, unknown> {
  const { quantization_config: _settings, compression_config: _older, ...rest } = config;
  return rest;
}

/** A model's matrices as a quantised folder stores them. */
type QuantisedFolder = {
  storage: Storage;
  /** By the weight's name; plain ones are not here. */
  matrices: ReadonlyMap<string, QuantisedMatrix>;
  /** Writes the dense folder and gives its path. */
  dense(scratch?: string, packed?: boolean): { path: string; packed: Map<string, PackedMatrix> };
};

/**
 * The matrices of a folder that stores them quantised, all shapes checked and nothing read; null for a plain folder.
 * @throws SextantError `model_unsupported`, `weights_invalid`
 */
export function findQuantised(path: string, config: Fields): QuantisedFolder | null {
  const settings = readSettings(path, config);
  if (!settings) {
    return null;
  }
  const plain = plainConfig(config);
  const architecture = parseArchitecture(plain);
  const family = familyOf(architecture.family);
  const weights = family.weights(architecture);
  const tensors = readStoredTensors(path);
  const turned = turnedWeights(weights);
  const names = (name: string): string[] => [
    name,
    ...(name.startsWith(family.prefix) ? [name.slice(family.prefix.length)] : []),
    ...(family.aliases?.[name] ? [family.aliases[name]] : []),
  ];
  const shapeOf = ({ name, shape }: Weight): MatrixShape => {
    const [out, inputs] = (turned.has(name) ? [...shape].reverse() : shape) as [number, number];
    return { name: name.replace(/\.weight$/, ''), out, inputs };
  };
  const listed = listWeights(weights);
  const isMatrix = ({ name, shape }: Weight) => shape.length === 2 && name.endsWith('.weight');
  const stored = listed
    .filter(isMatrix)
    .flatMap((weight) =>
      names(weight.name).map((name) => ({ ...shapeOf(weight), name: name.replace(/\.weight$/, '') })),
    );
  const notices = new Set<string>();
  const find = layoutsOf(settings, tensors, stored, (text) => notices.add(text));
  const matrices = new Map<string, QuantisedMatrix>();
  const plainTensors = new Map<string, StoredTensor>();
  for (const weight of listed) {
    const matrix = isMatrix(weight) ? findMatrix(find, names(weight.name), shapeOf(weight)) : null;
    if (matrix) {
      matrices.set(weight.name, matrix);
    } else {
      plainTensors.set(weight.name, plainTensor(tensors, names(weight.name), weight));
    }
  }
  const dense = (scratch?: string, keep = false) => {
    const packed = new Map<string, PackedMatrix>();
    const written = listed.flatMap(({ name, shape }): DenseTensor | DenseTensor[] => {
      const matrix = matrices.get(name);
      if (!matrix) {
        const tensor = named(plainTensors, name);
        return { name, dtype: tensor.dtype, shape, read: () => tensors.read(tensor.name) };
      }
      const form =
        keep && !turned.has(name) && name !== weights.embedding.name
          ? packedForm(name, matrix, shape as [number, number])
          : null;
      if (form) {
        packed.set(name, form);
        return packedTensors(form, matrix);
      }
      const read = () =>
        bytesOf(turned.has(name) ? transposed(matrix.decode(), shape[1]!, shape[0]!) : matrix.decode());
      return { name, dtype: 'F32', shape, read };
    });
    const copied = { from: path, names: KEPT_FILES };
    return { path: writeDenseFolder({ config: plain, tensors: written, copied }, scratch), packed };
  };
  const storage = storageOf([...matrices.values()], tensors.bytes, listed, [...notices], settings);
  return { storage, matrices, dense };
}

function findMatrix(find: FindMatrix, names: readonly string[], shape: MatrixShape): QuantisedMatrix | null {
  for (const name of names) {
    const found = find({ ...shape, name: name.replace(/\.weight$/, '') });
    if (found) {
      return found;
    }
  }
  return null;
}

function plainTensor(tensors: StoredTensors, names: readonly string[], { shape }: Weight): StoredTensor {
  const name = names.find((candidate) => tensors.find(candidate)) ?? names[0]!;
  return tensors.require(name, ['F32', 'F16', 'BF16'], shape);
}

/** Names of the matrices that a model stores [in, out]. */
function turnedWeights(weights: ModelWeights): Set<string> {
  const found = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) {
      return;
    }
    const { layout, weight } = value as Partial<Linear>;
    if (layout === 'in_out' && weight) {
      found.add(weight.name);
    }
    for (const child of Object.values(value)) {
      visit(child);
    }
  };
  visit(weights);
  return found;
}

function storageOf(
  matrices: readonly QuantisedMatrix[],
  bytes: number,
  listed: readonly Weight[],
  notices: string[],
  { method, fields }: QuantisationSettings,
): Storage {
  const dense = fields.format === 'dense';
  const one = <T>(values: readonly T[]): T | null => (new Set(values).size === 1 ? values[0]! : null);
  const layouts = [...new Set(matrices.map(({ layout }) => layout))];
  return {
    layout: layouts.length > 0 ? layouts.join(', ') : `${method}, dense`,
    bits: one(matrices.map(({ bits }) => bits)),
    group: one(matrices.map(({ group }) => group)),
    bytes,
    dense_bytes: listed.reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0),
    packed: null,
    notices: [
      ...notices,
      ...(matrices.length === 0 && !dense ? [`labelled ${method}, but no matrix is stored quantised`] : []),
    ],
  };
}

/** Weights of one file of a folder that `model.compress` writes, plain or packed, as float32 by name. */
export function readWeightsOfFile(
  path: string,
  weights: readonly Weight[],
  settings: { bits: number; group: number | null },
): Map<string, Float32Array> {
  const tensors = readStoredFile(path);
  return new Map(
    weights.map(({ name, shape }) => {
      const [out, inputs] = shape as [number, number];
      const packed = packQuantizedMatrix(tensors, { name: name.replace(/\.weight$/, ''), out, inputs }, settings);
      if (packed) {
        return [name, packed.decode()];
      }
      tensors.require(name, ['F32', 'F16', 'BF16'], shape);
      return [name, tensors.float32(name)];
    }),
  );
}
