/** NumPy's .npz: a zip archive of .npy arrays, stored or deflated. Read whole; no pickled object is ever opened. */
import { inflateRawSync } from 'node:zlib';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { npyHeader, readNpy } from '../../../shared/formats/npy-read.ts';
import { invalid, type TensorFile } from './source.ts';

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const LARGEST = 8 * 2 ** 30;

/** Whether the bytes are a zip archive whose entries are .npy arrays. */
export const isNpz = (bytes: Uint8Array): boolean =>
  bytes[0] === 0x50 && bytes[1] === 0x4b && entries(bytes).every(({ name }) => name.endsWith('.npy'));

type Entry = { name: string; method: number; packed: number; size: number; offset: number };

function entries(bytes: Uint8Array): Entry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - 22;
  while (end >= Math.max(0, bytes.length - 65_557) && view.getUint32(end, true) !== END) {
    end--;
  }
  if (end < 0 || view.getUint32(end, true) !== END) {
    return [];
  }
  const found: Entry[] = [];
  let at = view.getUint32(end + 16, true);
  for (let i = 0; i < view.getUint16(end + 10, true); i++) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== ENTRY) {
      throw invalid('the .npz archive is damaged');
    }
    const [length, extra, comment] = [28, 30, 32].map((by) => view.getUint16(at + by, true)) as [
      number,
      number,
      number,
    ];
    found.push({
      name: new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + length)),
      method: view.getUint16(at + 10, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      offset: view.getUint32(at + 42, true),
    });
    at += 46 + length + extra + comment;
  }
  return found;
}

function unpack(bytes: Uint8Array, { name, method, packed, size, offset }: Entry): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (offset + 30 > bytes.length || size > LARGEST) {
    throw invalid('the .npz archive is damaged');
  }
  const begin = offset + 30 + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
  const stored = bytes.subarray(begin, begin + packed);
  if (method === 0) {
    return stored;
  }
  if (method !== 8) {
    throw invalid(`'${name}' is packed by a method that is not known`);
  }
  try {
    return inflateRawSync(stored, { maxOutputLength: size });
  } catch (error) {
    throw invalid(`'${name}' cannot be unpacked: ${(error as Error).message}`);
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
    entries(bytes).map((entry) => [entry.name.slice(0, -4), npy(entry.name, unpack(bytes, entry))]),
  );
  return {
    names: [...arrays.keys()],
    shape: (name) => arrays.get(name)!.shape,
    values: (name) => arrays.get(name)!.values,
  };
}
