/** NumPy's .npy format, versions 1 to 3: reading arrays of little-endian floats and integers. */
import { recordError } from './record-error.ts';

const READERS: Readonly<Record<string, { bytes: number; read(view: DataView, at: number): number }>> = {
  '<f4': { bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  '<f8': { bytes: 8, read: (view, at) => view.getFloat64(at, true) },
  '<i2': { bytes: 2, read: (view, at) => view.getInt16(at, true) },
  '<i4': { bytes: 4, read: (view, at) => view.getInt32(at, true) },
};
const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

const malformed = (detail: string) => recordError('npy_malformed', detail);

/** What the array of a file is, and where its bytes begin. */
type NpyHeader = { descriptor: string; fortran: boolean; shape: number[]; begin: number };

/**
 * @param file its first bytes, up to the end of the header at least
 * @throws SextantError `data_invalid` for another file, and where the header is not whole
 */
export function npyHeader(file: Uint8Array): NpyHeader {
  if (file.length < 12 || MAGIC.some((byte, i) => file[i] !== byte)) {
    throw malformed('this is no .npy file');
  }
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const wide = file[6]! > 1;
  const start = wide ? 12 : 10;
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  if (start + length > file.length) {
    throw malformed('the file ends within its header');
  }
  const header = new TextDecoder('latin1').decode(file.subarray(start, start + length));
  const sizes = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? '';
  return {
    descriptor: /'descr':\s*'([^']*)'/.exec(header)?.[1] ?? '',
    fortran: /'fortran_order':\s*True/.test(header),
    shape: sizes.split(',').flatMap((size) => (size.trim() === '' ? [] : [Number(size)])),
    begin: start + length,
  };
}

/** @throws SextantError `data_invalid` for other files, dtypes or orders */
export function readNpy(file: Uint8Array): { shape: number[]; values: Float64Array } {
  const { descriptor, fortran, shape, begin: from } = npyHeader(file);
  const reader = READERS[descriptor];
  if (!reader) {
    throw malformed(`the dtype is '${descriptor}'; ${Object.keys(READERS).join(', ')} are read`);
  }
  if (fortran) {
    throw malformed('the array is in Fortran order; save it in C order');
  }
  const count = shape.reduce((product, size) => product * size, 1);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (!Number.isSafeInteger(count) || file.length - from !== count * reader.bytes) {
    throw malformed(
      `an array [${shape}] of ${descriptor} takes ${count * reader.bytes} bytes, the file has ${file.length - from}`,
    );
  }
  return { shape, values: Float64Array.from({ length: count }, (_, i) => reader.read(view, from + i * reader.bytes)) };
}
