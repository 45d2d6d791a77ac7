/**
 * idx files, the format of MNIST: two zero bytes, a type code, the number of axes, each axis as a big-endian integer, then the
 * values, row-major, big-endian. Bytes alone are read, which is what images and their labels are stored as.
 */
import { SextantError } from '../contracts/problem.ts';

type Idx = { shape: number[]; values: Uint8Array };

const UNSIGNED_BYTE = 0x08;
const OTHER_TYPES: Readonly<Record<number, string>> = {
  9: 'signed bytes',
  11: '16-bit integers',
  12: '32-bit integers',
  13: '32-bit floats',
  14: '64-bit floats',
};
const invalid = (name: string, why: string): SextantError => new SextantError('data_invalid', `${name}: ${why}`);

/**
 * @param name what messages call the file
 * @throws SextantError `data_invalid` where it is no idx file of bytes, or header and length disagree
 */
export function readIdx(file: Uint8Array, name: string): Idx {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 4 || view.getUint16(0) !== 0) {
    throw invalid(name, 'is not an idx file: it must begin with two zero bytes');
  }
  const [type, axes] = [view.getUint8(2), view.getUint8(3)];
  if (type !== UNSIGNED_BYTE) {
    throw invalid(name, `holds ${OTHER_TYPES[type] ?? `values of type ${type}`}; unsigned bytes (8) are read`);
  }
  if (axes < 1 || axes > 4) {
    throw invalid(name, `has ${axes} axes; 1 (labels) to 4 (images with channels) are read`);
  }
  const begin = 4 + 4 * axes;
  if (file.length < begin) {
    throw invalid(name, `ends within its header, after ${file.length} bytes of ${begin}`);
  }
  const shape = Array.from({ length: axes }, (_, i) => view.getUint32(4 + 4 * i));
  const size = shape.reduce((product, axis) => product * axis, 1);
  if (file.length - begin !== size) {
    throw invalid(name, `the header announces ${shape.join(' x ')} = ${size} bytes, ${file.length - begin} follow`);
  }
  return { shape, values: file.subarray(begin) };
}
