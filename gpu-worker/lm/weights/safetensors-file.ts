/** Safetensors files on disk: the header of one, and single tensors, without reading the whole file. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { SextantError } from '../../../shared/contracts/problem.ts';
import {
  headerLength,
  parseHeader,
  type SafetensorsEntry,
  SafetensorsError,
  type SafetensorsHeader,
} from '../../../shared/formats/safetensors-header.ts';
import { toFloat32 } from '../../../shared/formats/safetensors-values.ts';

/** Reads `length` bytes at `offset`; fewer where the file ends. */
function readAt(descriptor: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const got = readSync(descriptor, bytes, done, Math.min(length - done, 2 ** 30), offset + done);
    if (got === 0) {
      break;
    }
    done += got;
  }
  return bytes.subarray(0, done);
}

function withFile<T>(path: string, use: (descriptor: number, size: number) => T): T {
  const descriptor = openSync(path, 'r');
  try {
    return use(descriptor, fstatSync(descriptor).size);
  } finally {
    closeSync(descriptor);
  }
}

/** The checked header of a file. @throws SextantError `weights_invalid` naming the file and what is wrong with it */
export function readHeader(path: string): SafetensorsHeader {
  try {
    return withFile(path, (descriptor, size) => {
      const length = headerLength(readAt(descriptor, 0, 8), size);
      return parseHeader(readAt(descriptor, 8, length), size);
    });
  } catch (error) {
    if (!(error instanceof SafetensorsError)) {
      throw error;
    }
    throw new SextantError('weights_invalid', `${nameOf(path)}: ${error.message} (${error.code})`, { cause: error });
  }
}

/** The bytes from `begin` to `end`, which a checked header has found to be inside the file. */
export const readBytes = (path: string, begin: number, end: number): Uint8Array =>
  withFile(path, (descriptor) => readAt(descriptor, begin, end - begin));

/** The values of one tensor as float32. */
export const readFloat32 = (path: string, entry: SafetensorsEntry): Float32Array =>
  withFile(path, (descriptor) => toFloat32(readAt(descriptor, entry.begin, entry.end - entry.begin), entry.dtype));

/** The file's own name: paths of this machine do not belong in messages that leave it. */
export const nameOf = (path: string): string => path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
