/**
 * Side paths: what is added to the output of a linear layer beside its stored matrix. An edit of rank one takes
 * out + in numbers so, and the matrix stays as it is stored: sparse, or packed in a few bits.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SextantError } from '../../../shared/contracts/problem.ts';
import {
  floatTensor,
  readSafetensors,
  type TensorToWrite,
  writeSafetensors,
} from '../../../shared/formats/safetensors.ts';
import type { Linear, ModelWeights } from '../../../shared/models/architecture.ts';
import { everyLinear } from '../network/linears.ts';

/** y = W x + left (right . x) + constant, before any norm that follows; whichever part is null adds nothing. */
export type SidePath = {
  /** [out] and [in]. */
  pair: { left: Float32Array; right: Float32Array } | null;
  /** [out]. */
  constant: Float32Array | null;
};
/** By the name of the layer's weight. */
export type SidePaths = ReadonlyMap<string, SidePath>;

/** The file of a model folder that holds them. */
export const SIDE_PATHS_FILE = 'side_paths.safetensors';

const PARTS = ['left', 'right', 'constant'] as const;

/** Numbers that a layer puts out and takes in. */
export const sizesOf = ({ weight, layout }: Linear): { out: number; inputs: number } => {
  const [rows, columns] = weight.shape as [number, number];
  return layout === 'out_in' ? { out: rows, inputs: columns } : { out: columns, inputs: rows };
};

export function sidePathFile(paths: SidePaths): Uint8Array {
  const tensors: TensorToWrite[] = [];
  for (const [name, { pair, constant }] of paths) {
    const parts = { left: pair?.left, right: pair?.right, constant };
    for (const part of PARTS) {
      const values = parts[part];
      if (values) {
        tensors.push(floatTensor(`${name}.${part}`, [values.length], values));
      }
    }
  }
  return writeSafetensors(tensors, { format: 'pt' });
}

/**
 * The side paths of a folder; none where it has no such file.
 * @throws SextantError `weights_invalid` for a layer that the model lacks, parts that miss each other or wrong sizes
 */
export function readSidePaths(folder: string, weights: ModelWeights): SidePaths {
  const path = join(folder, SIDE_PATHS_FILE);
  const found = new Map<string, SidePath>();
  if (!existsSync(path)) {
    return found;
  }
  const file = readSafetensors(readFileSync(path));
  const linears = new Map(weights.layers.flatMap(everyLinear).map((linear) => [linear.weight.name, linear]));
  const names = new Set([...file.header.tensors.keys()].map((name) => name.replace(/\.[a-z]+$/, '')));
  for (const name of names) {
    const linear = linears.get(name);
    const part = (which: (typeof PARTS)[number], size: number): Float32Array | null => {
      if (!file.header.tensors.has(`${name}.${which}`)) {
        return null;
      }
      const values = file.float32(`${name}.${which}`);
      if (values.length !== size) {
        throw new SextantError(
          'weights_invalid',
          `${SIDE_PATHS_FILE}: '${name}.${which}' has ${values.length} of ${size} numbers`,
        );
      }
      return values;
    };
    if (!linear) {
      throw new SextantError('weights_invalid', `${SIDE_PATHS_FILE}: the model has no linear layer '${name}'`);
    }
    const { out, inputs } = sizesOf(linear);
    const [left, right, constant] = [part('left', out), part('right', inputs), part('constant', out)];
    if ((left === null) !== (right === null) || (left === null && constant === null)) {
      throw new SextantError('weights_invalid', `${SIDE_PATHS_FILE}: '${name}' lacks a part`);
    }
    found.set(name, { pair: left && right ? { left, right } : null, constant });
  }
  return found;
}

/** W + left right' of a matrix as its layer stores it. */
export function withPair(
  linear: Linear,
  values: Float32Array,
  { left, right }: NonNullable<SidePath['pair']>,
): Float32Array {
  const [rows, columns] = linear.weight.shape as [number, number];
  const [byRow, byColumn] = linear.layout === 'out_in' ? [left, right] : [right, left];
  const out = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      out[i * columns + j] = values[i * columns + j]! + byRow[i]! * byColumn[j]!;
    }
  }
  return out;
}
