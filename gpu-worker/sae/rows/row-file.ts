/**
 * Files of activations made anywhere, opened as rows: safetensors (our own shards among them), npy, and Arrow files or
 * streams. What a file is, its first bytes say; leading dimensions of an array are laid end to end.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { npyHeader } from '../../../shared/formats/npy-read.ts';
import { readSafetensorsHeader } from '../../lm/index.ts';
import { arrowRows } from './arrow-rows.ts';
import { type RawRows, ROW_BYTES, type RowDtype } from './raw-rows.ts';

type RowFileOptions = {
  /** How the file is called in messages. */
  name: string;
  /** Tensor or column that holds the rows; null: the only one that can. */
  tensor: string | null;
  /** A folder for what Arrow files are laid out in. */
  scratch: string;
};

const HEAD_BYTES = 2 ** 16;
/** 'ARROW1', and the mark that begins the messages of a stream. */
const [ARROW_FILE, ARROW_STREAM] = ['4152524f5731', 'ffffffff'];
const NPY = '934e554d5059';
const NPY_DTYPES: Readonly<Record<string, RowDtype>> = { '<f2': 'F16', '<f4': 'F32', '<f8': 'F64' };

/** @throws SextantError `data_invalid` for a file that is none of these, or has no rows of floating-point numbers */
export function openRowFile(path: string, options: RowFileOptions): RawRows {
  const { head, size } = headOf(path);
  const magic = Buffer.from(head.subarray(0, 6)).toString('hex');
  if (magic === NPY) {
    return npyRows(path, head, size, options);
  }
  if (magic === ARROW_FILE || magic.startsWith(ARROW_STREAM)) {
    return arrowRows(path, size, options);
  }
  return safetensorsRows(path, options);
}

function headOf(path: string): { head: Uint8Array; size: number } {
  const descriptor = openSync(path, 'r');
  try {
    const head = new Uint8Array(HEAD_BYTES);
    const got = readSync(descriptor, head, 0, HEAD_BYTES, 0);
    return { head: head.subarray(0, got), size: fstatSync(descriptor).size };
  } finally {
    closeSync(descriptor);
  }
}

const refused = (name: string, why: string): SextantError => new SextantError('data_invalid', `${name}: ${why}`);

/** Rows and their width of an array of this shape; null for one without rows. */
function rowsOf(shape: readonly number[]): { rows: number; width: number } | null {
  const width = shape.at(-1) ?? 0;
  const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
  return shape.length >= 2 && rows > 0 && width > 0 ? { rows, width } : null;
}

function npyRows(path: string, head: Uint8Array, size: number, { name, tensor }: RowFileOptions): RawRows {
  if (tensor !== null) {
    throw refused(name, `an npy file holds one array without a name: leave 'tensor' out`);
  }
  const { descriptor, fortran, shape, begin } = npyHeader(head);
  const dtype = NPY_DTYPES[descriptor];
  if (!dtype) {
    throw refused(name, `its dtype is '${descriptor}'; ${Object.keys(NPY_DTYPES).join(', ')} are read`);
  }
  const found = rowsOf(shape);
  if (!found) {
    throw refused(name, `an array of shape (${shape.join(', ')}) has no rows; two dimensions at least, none of them 0`);
  }
  if (fortran) {
    throw refused(name, 'the array is in Fortran order; save it in C order');
  }
  const bytes = found.rows * found.width * ROW_BYTES[dtype];
  if (size - begin !== bytes) {
    throw refused(name, `its array takes ${bytes} bytes, the file has ${size - begin}: it was cut short or goes on`);
  }
  return { path, name, dtype, begin, ...found };
}

function safetensorsRows(path: string, { name, tensor }: RowFileOptions): RawRows {
  let header: ReturnType<typeof readSafetensorsHeader>;
  try {
    header = readSafetensorsHeader(path);
  } catch (cause) {
    if (!(cause instanceof SextantError)) {
      throw cause;
    }
    // What the reader says is about safetensors, which the file may not be at all.
    const own = cause.message.slice(cause.message.indexOf(':') + 1).trim();
    throw refused(name, `neither npy nor Arrow, and no safetensors file: ${own}`);
  }
  const usable = [...header.tensors].flatMap(([title, entry]) => {
    const dtype = (['F64', 'F32', 'F16', 'BF16'] as const).find((one) => one === entry.dtype);
    const found = rowsOf(entry.shape);
    return dtype && found ? [{ title, dtype, begin: entry.begin, ...found }] : [];
  });
  const chosen = usable.filter(({ title }) => tensor === null || title === tensor);
  const [only] = chosen;
  if (!only || chosen.length > 1) {
    const names = usable.map(({ title }) => `'${title}'`).join(', ');
    const there = `of two dimensions or more it has ${names || 'none'}`;
    throw refused(name, tensor === null ? `name one 'tensor'; ${there}` : `no tensor '${tensor}' of floats; ${there}`);
  }
  const { title: _title, ...rest } = only;
  return { path, name, ...rest };
}
