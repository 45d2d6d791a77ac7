/**
 * The arrays of a training's state as safetensors files in a folder: exact, the same on every machine, and in pieces that can
 * be uploaded.
 */
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readSafetensors, safetensorsPrefix } from '../../shared/formats/safetensors.ts';
import { EngineError } from '../runtime/index.ts';

export type StoredArray = { shape: readonly number[]; data: Float32Array | Float64Array };
export type StoredArrays = Readonly<Record<string, StoredArray>>;

/** Room that a file keeps for its header, per array. */
const HEADER_BYTES = 300;

/** Items in their order, in groups of at most `limit`; an item above it is a group of its own. */
export function groupsBelow<T>(items: readonly T[], bytes: (item: T) => number, limit: number): T[][] {
  const groups: T[][] = [[]];
  let size = 0;
  for (const item of items) {
    if (size > 0 && size + bytes(item) > limit) {
      groups.push([]);
      size = 0;
    }
    groups.at(-1)!.push(item);
    size += bytes(item);
  }
  return groups;
}

export const bytesOfArrays = (arrays: StoredArrays): number =>
  Object.values(arrays).reduce((sum, { data }) => sum + data.byteLength, 0);

/**
 * Writes files of at most `fileBytes`, beside what the folder holds already.
 * @returns their names, in order; an array that does not fit is in a larger file of its own
 */
export async function writeArrays(
  folder: string,
  arrays: StoredArrays,
  fileBytes: number = Number.POSITIVE_INFINITY,
): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const entries = Object.entries(arrays);
  const room = fileBytes - HEADER_BYTES * entries.length;
  const names: string[] = [];
  for (const [i, group] of groupsBelow(entries, ([, { data }]) => data.byteLength, room).entries()) {
    names.push(`arrays-${String(i).padStart(5, '0')}.safetensors`);
    const file = await open(join(folder, names.at(-1)!), 'w');
    try {
      const tensors = group.map(([name, { shape, data }]) => ({ name, dtype: dtypeOf(data), shape }));
      await file.writeFile(safetensorsPrefix(tensors));
      for (const [, { data }] of group) {
        await file.writeFile(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      }
    } finally {
      await file.close();
    }
  }
  return names;
}

/** All arrays of these files. @throws SafetensorsError where one is not whole; EngineError `checkpoint_mismatch` */
export async function readArrays(files: readonly string[]): Promise<StoredArrays> {
  const arrays: Record<string, StoredArray> = {};
  for (const path of files) {
    const file = readSafetensors(await readFile(path));
    for (const [name, { dtype, shape }] of file.header.tensors) {
      // A copy begins where any kind of array may.
      const bytes = Uint8Array.from(file.bytes(name));
      if (dtype !== 'F32' && dtype !== 'F64') {
        throw new EngineError('checkpoint_mismatch', `'${name}' is stored as ${dtype}; a state holds F32 and F64`);
      }
      const data = dtype === 'F32' ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer);
      arrays[name] = { shape, data };
    }
  }
  return arrays;
}

const dtypeOf = (data: StoredArray['data']) => (data instanceof Float32Array ? ('F32' as const) : ('F64' as const));
