/** NumPy's .npz: a zip archive of .npy arrays, stored or deflated. Read whole; no pickled object is ever opened. */
import { inflateRawSync } from 'node:zlib';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { npyHeader, readNpy } from '../../../shared/formats/npy-read.ts';
import {
  contentStart,
  directoryPlace,
  directoryPlace64,
  END64_HEAD,
  LOCAL_HEAD,
  LONGEST_END,
  ZipDamage,
  type ZipEntry,
  zipEntries,
} from '../../../shared/formats/zip-directory.ts';
import { invalid, type TensorFile } from './source.ts';

const LARGEST = 8 * 2 ** 30;

/** Whether the bytes are a zip archive whose entries are .npy arrays. */
export const isNpz = (bytes: Uint8Array): boolean =>
  bytes[0] === 0x50 && bytes[1] === 0x4b && entries(bytes).every(({ path }) => path.endsWith('.npy'));

/** Entries of the archive; none where it has no directory. */
function entries(bytes: Uint8Array): ZipEntry[] {
  try {
    const place = directoryPlace(bytes.subarray(-LONGEST_END));
    if (!place) {
      return [];
    }
    const { record64 } = place;
    const directory = record64 === null ? place : directoryPlace64(bytes.subarray(record64, record64 + END64_HEAD));
    return zipEntries(bytes.subarray(directory.at, directory.at + directory.bytes));
  } catch (error) {
    throw error instanceof ZipDamage ? invalid('the .npz archive is damaged') : error;
  }
}

function unpack(bytes: Uint8Array, { path, method, packed, size, at }: ZipEntry): Uint8Array {
  const begin = contentStart(bytes.subarray(at, at + LOCAL_HEAD), at);
  if (begin === null || size > LARGEST) {
    throw invalid('the .npz archive is damaged');
  }
  const stored = bytes.subarray(begin, begin + packed);
  if (method === 0) {
    return stored;
  }
  if (method !== 8) {
    throw invalid(`'${path}' is packed by a method that is not known`);
  }
  try {
    return inflateRawSync(stored, { maxOutputLength: size });
  } catch (error) {
    throw invalid(`'${path}' cannot be unpacked: ${(error as Error).message}`);
  }
}

/** An array as float32; the usual kind is copied as it is, without the doubles of the general reader. */
function npy(name: string, bytes: Uint8Array): { shape: number[]; values: Float32Array } {
  try {
    const { descriptor, fortran, shape, begin } = npyHeader(bytes);
    const size = 4 * shape.reduce((product, n) => product * n, 1);
    if (descriptor !== '<f4' || fortran || bytes.length < begin + size) {
      const { shape, values } = readNpy(bytes);
      return { shape, values: Float32Array.from(values) };
    }
    // A copy: of a Buffer, slice is none.
    return { shape, values: new Float32Array(new Uint8Array(bytes.subarray(begin, begin + size)).buffer) };
  } catch (error) {
    throw error instanceof SextantError ? invalid(`'${name}': ${error.message}`) : error;
  }
}

/** The arrays of an archive. @throws SextantError `data_invalid` */
export function readNpz(bytes: Uint8Array): TensorFile {
  const arrays = new Map(
    entries(bytes).map((entry) => [entry.path.slice(0, -4), npy(entry.path, unpack(bytes, entry))]),
  );
  return {
    names: [...arrays.keys()],
    shape: (name) => arrays.get(name)!.shape,
    values: (name) => arrays.get(name)!.values,
  };
}
