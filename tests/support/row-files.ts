/** Activations as other programs write them: npy arrays and Arrow streams, in memory. */
import { columnFromArray, fixedSizeList, float32, tableFromColumns, tableToIPC } from '@uwdata/flechette';
import { float16Bits } from '../../shared/formats/safetensors-values.ts';

type NpyOptions = { shape: readonly number[]; dtype?: '<f2' | '<f4' | '<f8'; fortran?: boolean };

/** A file of NumPy's format, version 1. */
export function npyFile(values: Float32Array, { shape, dtype = '<f4', fortran = false }: NpyOptions): Uint8Array {
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const header = `{'descr': '${dtype}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': (${sizes}), }`;
  const padded = `${header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11)}\n`;
  const data =
    dtype === '<f8'
      ? Float64Array.from(values)
      : dtype === '<f2'
        ? Uint16Array.from(values, float16Bits)
        : values.slice();
  return Buffer.concat([
    Uint8Array.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, padded.length & 255, padded.length >> 8]),
    Buffer.from(padded, 'latin1'),
    new Uint8Array(data.buffer),
  ]);
}

/** An Arrow file or stream with one column of lists of `width` floats, in record batches of `batch` rows. */
export function arrowFile(
  values: Float32Array,
  width: number,
  { format = 'file', batch = 50 }: { format?: 'file' | 'stream'; batch?: number } = {},
): Uint8Array {
  const rows = Array.from({ length: values.length / width }, (_, i) => values.slice(i * width, (i + 1) * width));
  const column = columnFromArray(rows, fixedSizeList(float32(), width), { maxBatchRows: batch });
  return tableToIPC(tableFromColumns({ x: column }), { format })!;
}

/** The same with a column per place. */
export function arrowColumns(values: Float32Array, width: number): Uint8Array {
  const columns = Array.from({ length: width }, (_, j) => [
    `x${j}`,
    columnFromArray(
      values.filter((_, i) => i % width === j),
      float32(),
    ),
  ]);
  return tableToIPC(tableFromColumns(Object.fromEntries(columns)), { format: 'stream' })!;
}
