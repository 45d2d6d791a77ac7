/** NumPy's .npy format, version 1.0: writing. */

type NpyDtype = 'float32' | 'float16' | 'float64';
const DESCRIPTORS = { float32: '<f4', float16: '<f2', float64: '<f8' } as const;

/** The bytes before an array's values (little endian, C order), padded so that the values begin at a multiple of 64. */
export function npyPrefix(dtype: NpyDtype, shape: readonly number[]): Uint8Array<ArrayBuffer> {
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const header = `{'descr': '${DESCRIPTORS[dtype]}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const total = Math.ceil((10 + header.length + 1) / 64) * 64;
  const prefix = new Uint8Array(total).fill(0x20);
  prefix.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, (total - 10) & 0xff, (total - 10) >> 8]);
  for (let i = 0; i < header.length; i += 1) {
    prefix[10 + i] = header.charCodeAt(i);
  }
  prefix[total - 1] = 0x0a;
  return prefix;
}
