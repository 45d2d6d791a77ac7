/** The tensors of a folder of safetensors files: where each lies, and their bytes on demand. */
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { SafetensorsDtype, SafetensorsEntry } from '../../../shared/formats/safetensors-header.ts';
import { toFloat32 } from '../../../shared/formats/safetensors-values.ts';
import { named } from '../named.ts';
import { nameOf, readBytes, readHeader } from './safetensors-file.ts';

/** Where a stored tensor lies: `file` is relative to the path of `StoredTensors`. */
export type StoredTensor = SafetensorsEntry & { file: string };

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
/** Beside the weights; `side-paths.ts` reads it. */
const SIDE_PATHS = 'side_paths.safetensors';
const MAX_JSON_BYTES = 64 * 2 ** 20;

/** A JSON file of the folder. @throws SextantError `weights_invalid` */
export function readJson(path: string): unknown {
  if (statSync(path).size > MAX_JSON_BYTES) {
    throw new SextantError('weights_invalid', `${nameOf(path)} is larger than ${MAX_JSON_BYTES} bytes`);
  }
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as unknown;
  } catch (error) {
    throw new SextantError('weights_invalid', `${nameOf(path)} is not JSON: ${(error as Error).message}`);
  }
}

export class StoredTensors {
  /** The folder, or where its links lead. */
  readonly path: string;
  /** Sizes of the files, bytes. */
  readonly bytes: number;
  readonly #entries: ReadonlyMap<string, StoredTensor>;

  constructor(path: string, entries: ReadonlyMap<string, StoredTensor>, bytes: number) {
    this.path = path;
    this.bytes = bytes;
    this.#entries = entries;
  }

  get names(): IterableIterator<string> {
    return this.#entries.keys();
  }

  find(name: string): StoredTensor | undefined {
    return this.#entries.get(name);
  }

  /**
   * A tensor that must be there, of one of these dtypes and of this shape (null: any size).
   * @throws SextantError `weights_invalid` naming what is wrong
   */
  require(name: string, dtypes: readonly SafetensorsDtype[], shape?: readonly (number | null)[]): StoredTensor {
    const found = this.#entries.get(name);
    if (!found) {
      throw new SextantError('weights_invalid', `tensor '${name}' is missing`);
    }
    if (!dtypes.includes(found.dtype)) {
      throw new SextantError(
        'weights_invalid',
        `tensor '${name}' has dtype ${found.dtype}; it must be ${dtypes.join(' or ')}`,
      );
    }
    if (shape && (shape.length !== found.shape.length || shape.some((n, i) => n !== null && n !== found.shape[i]))) {
      throw new SextantError(
        'weights_invalid',
        `tensor '${name}' has shape [${found.shape}]; by config.json it must be [${shape.map((n) => n ?? 'any')}]`,
      );
    }
    return found;
  }

  read(name: string): Uint8Array {
    const { file, begin, end } = named(this.#entries, name);
    return readBytes(join(this.path, file), begin, end);
  }

  /** At most `length` bytes of a tensor, from byte `at` of it on. */
  part({ file, begin, end }: StoredTensor, at: number, length: number): Uint8Array {
    return readBytes(join(this.path, file), begin + at, Math.min(end, begin + at + length));
  }

  float32(name: string): Float32Array {
    return toFloat32(this.read(name), named(this.#entries, name).dtype);
  }

  /** The elements of an I32 or I64 tensor. */
  integers(name: string): Int32Array {
    const bytes = this.read(name);
    if (named(this.#entries, name).dtype === 'I32') {
      return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    }
    return Int32Array.from(new BigInt64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8), Number);
  }
}

/**
 * Every tensor of the folder's weight files: `model.safetensors`, an index and its shards, or the only safetensors file
 * there is. No value is read.
 * @throws SextantError `weights_invalid`
 */
export const readStoredTensors = (path: string): StoredTensors => readFiles(path, weightFiles(path));

/** The tensors of one file. @throws SextantError `weights_invalid` */
export const readStoredFile = (path: string): StoredTensors => readFiles(dirname(path), [basename(path)]);

function readFiles(path: string, files: readonly string[]): StoredTensors {
  const tensors = new Map<string, StoredTensor>();
  const { root, places } = whereTheyLie(path, files);
  let bytes = 0;
  for (const [i, file] of files.entries()) {
    bytes += statSync(join(path, file)).size;
    for (const [name, entry] of readHeader(join(path, file)).tensors) {
      if (tensors.has(name)) {
        throw new SextantError('weights_invalid', `tensor '${name}' is in ${file} and in another shard`);
      }
      tensors.set(name, { ...entry, file: places[i]! });
    }
  }
  return new StoredTensors(root, tensors, bytes);
}

/**
 * The folder that the files really lie in, and their names there. A cache of the publishers' library holds links into a
 * folder of blobs, and onnxruntime reads no file that a link leads to from outside the folder it is given.
 */
function whereTheyLie(path: string, files: readonly string[]): { root: string; places: string[] } {
  const own = realpathSync(path);
  const real = files.map((file) => realpathSync(join(path, file)));
  if (real.every((place, i) => place === join(own, files[i]!))) {
    return { root: path, places: [...files] };
  }
  let root = dirname(real[0]!);
  while (real.some((place) => relative(root, place).startsWith('..'))) {
    root = dirname(root);
  }
  return { root, places: real.map((place) => relative(root, place)) };
}

function weightFiles(path: string): string[] {
  if (existsSync(join(path, SINGLE))) {
    return [SINGLE];
  }
  if (existsSync(join(path, INDEX))) {
    return shardsOf(path);
  }
  const only = readdirSync(path).filter((name) => name.endsWith('.safetensors') && name !== SIDE_PATHS);
  if (only.length === 1) {
    return only;
  }
  throw new SextantError('weights_invalid', `the model folder has neither ${SINGLE} nor ${INDEX}`);
}

/** The shards that the index names, all of them present; a shard may not lie outside the folder. */
function shardsOf(path: string): string[] {
  const map = (readJson(join(path, INDEX)) as { weight_map?: unknown }).weight_map;
  if (typeof map !== 'object' || map === null) {
    throw new SextantError('weights_invalid', `${INDEX} has no weight_map`);
  }
  const files = [...new Set(Object.values(map as Record<string, unknown>))].sort();
  for (const file of files) {
    if (typeof file !== 'string' || !/^[A-Za-z0-9._-]+\.safetensors$/.test(file)) {
      throw new SextantError('weights_invalid', `${INDEX} names a shard '${String(file).slice(0, 80)}'`);
    }
    if (!existsSync(join(path, file))) {
      throw new SextantError('weights_invalid', `shard ${file} is missing`);
    }
  }
  return files as string[];
}
