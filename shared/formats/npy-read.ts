/** NumPy's .npy format, versions 1 to 3: reading arrays of real numbers, of either byte order and either order of axes. */
import { recordError } from './record-error.ts';
import { float16Value } from './safetensors-values.ts';

type Reader = (view: DataView, at: number, little: boolean) => number;
/** By kind and size in bytes; objects, which are pickles, are among none of them. */
const READERS: Readonly<Record<string, Reader>> = {
  f2: (view, at, little) => float16Value(view.getUint16(at, little)),
  f4: (view, at, little) => view.getFloat32(at, little),
  f8: (view, at, little) => view.getFloat64(at, little),
  i1: (view, at) => view.getInt8(at),
  i2: (view, at, little) => view.getInt16(at, little),
  i4: (view, at, little) => view.getInt32(at, little),
  i8: (view, at, little) => Number(view.getBigInt64(at, little)),
  u1: (view, at) => view.getUint8(at),
  u2: (view, at, little) => view.getUint16(at, little),
  u4: (view, at, little) => view.getUint32(at, little),
  u8: (view, at, little) => Number(view.getBigUint64(at, little)),
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
  const version = file[6]!;
  if (version < 1 || version > 3) {
    throw malformed(`the file is of version ${version}; 1 to 3 are read`);
  }
  const wide = version > 1;
  const start = wide ? 12 : 10;
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  if (start + length > file.length) {
    throw malformed('the file ends within its header');
  }
  const header = new TextDecoder(version > 2 ? 'utf-8' : 'latin1').decode(file.subarray(start, start + length));
  const sizes = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? '';
  return {
    descriptor: /'descr':\s*'([^']*)'/.exec(header)?.[1] ?? '',
    fortran: /'fortran_order':\s*True/.test(header),
    shape: sizes.split(',').flatMap((size) => (size.trim() === '' ? [] : [Number(size)])),
    begin: start + length,
  };
}

/**
 * The values in C order, whatever order the file has them in.
 * @throws SextantError `data_invalid` for other files and dtypes
 */
export function readNpy(file: Uint8Array): { shape: number[]; values: Float64Array } {
  const { descriptor, fortran, shape, begin: from } = npyHeader(file);
  const [, order, kind = ''] = /^([<>=|]?)([fiu][1248])$/.exec(descriptor) ?? [];
  const reader = READERS[kind];
  if (!reader) {
    throw malformed(`the dtype is '${descriptor}'; real numbers are read: ${Object.keys(READERS).join(', ')}`);
  }
  const count = shape.reduce((product, size) => product * size, 1);
  const bytes = Number(kind.slice(1));
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0) || file.length - from !== count * bytes) {
    throw malformed(
      `an array [${shape}] of ${descriptor} takes ${count * bytes} bytes, the file has ${file.length - from}`,
    );
  }
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const place = fortran ? fortranPlace(shape) : (i: number) => i;
  const value = (i: number): number => reader(view, from + place(i) * bytes, order !== '>');
  return { shape, values: Float64Array.from({ length: count }, (_, i) => value(i)) };
}

/** Where an element stands in a file whose first axis runs fastest, by its place in C order. */
function fortranPlace(shape: readonly number[]): (i: number) => number {
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((product, size) => product * size, 1));
  return (i) => {
    let [rest, place] = [i, 0];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const size = shape[axis] ?? 1;
      place += (rest % size) * (strides[axis] ?? 0);
      rest = Math.floor(rest / size);
    }
    return place;
  };
}
