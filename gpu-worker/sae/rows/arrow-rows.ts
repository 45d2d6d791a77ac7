/**
 * Rows of an Arrow file or stream, laid out once in a plain file of float32, one record batch in memory at a time: a column
 * of lists of one length, or all the floating-point columns side by side.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { arrowTable, UnpackedTooLarge } from '../../../shared/formats/arrow-codecs.ts';
import type { RawRows } from './raw-rows.ts';

type ArrowOptions = { name: string; tensor: string | null; scratch: string };
type Table = ReturnType<typeof arrowTable>;

/** Kinds of messages by Arrow's Message.fbs. */
const [SCHEMA, DICTIONARY, RECORDS] = [1, 2, 3];
/** Largest message that is read, one record batch, and the most that its compressed buffers come to: bytes. */
const MESSAGE_LIMIT = 2 ** 30;
const CONTINUATION = 0xffffffff;
let laidOut = 0;

/** @throws SextantError `data_invalid` for damaged files, and columns that are no rows of numbers */
export function arrowRows(path: string, size: number, { name, tensor, scratch }: ArrowOptions): RawRows {
  const plain = join(scratch, `rows-${process.pid}-${laidOut++}.f32`);
  const out = openSync(plain, 'w');
  let [rows, width] = [0, 0];
  try {
    const context: Uint8Array[] = [];
    for (const { kind, message } of messages(path, size, name)) {
      if (kind !== RECORDS) {
        context.push(message);
        continue;
      }
      const table = decoded([...context, message], name);
      if (table.numRows === 0) {
        continue;
      }
      const values = batchRows(table, { tensor, name, from: rows });
      width ||= values.width;
      if (values.width !== width) {
        throw refused(name, `rows of ${values.width} numbers after rows of ${width}`);
      }
      rows += values.x.length / width;
      writeSync(out, new Uint8Array(values.x.buffer, values.x.byteOffset, values.x.byteLength));
    }
  } finally {
    closeSync(out);
  }
  if (rows === 0) {
    throw refused(name, 'the Arrow file has no rows');
  }
  return { path: plain, name, dtype: 'F32', begin: 0, rows, width };
}

const refused = (name: string, why: string): SextantError => new SextantError('data_invalid', `${name}: ${why}`);

/** The messages of a file or stream, whole, as a stream has them. */
function* messages(path: string, size: number, name: string): Generator<{ kind: number; message: Uint8Array }> {
  const descriptor = openSync(path, 'r');
  const read = (at: number, length: number): Uint8Array => {
    const bytes = new Uint8Array(length);
    if (at + length > size || readSync(descriptor, bytes, 0, length, at) !== length) {
      throw refused(name, 'the Arrow file was cut short');
    }
    return bytes;
  };
  try {
    // A file begins with 'ARROW1' and two bytes of padding, a stream with its first message.
    let at = Buffer.from(read(0, 6)).toString('latin1') === 'ARROW1' ? 8 : 0;
    while (at + 8 <= size) {
      const prefix = new DataView(read(at, 8).buffer);
      if (prefix.getUint32(0, true) !== CONTINUATION) {
        return;
      }
      const length = prefix.getInt32(4, true);
      if (length <= 0) {
        return;
      }
      if (length > MESSAGE_LIMIT) {
        throw refused(name, 'the Arrow file is damaged');
      }
      const { kind, body } = messageHead(read(at + 8, length), name);
      if (![SCHEMA, DICTIONARY, RECORDS].includes(kind)) {
        return;
      }
      if (body > MESSAGE_LIMIT) {
        throw refused(name, `a record batch of ${body} bytes; at most ${MESSAGE_LIMIT}`);
      }
      yield { kind, message: read(at, 8 + length + body) };
      at += 8 + length + body;
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Kind and length of the body from the flatbuffer of a message. */
function messageHead(metadata: Uint8Array, name: string): { kind: number; body: number } {
  try {
    const view = new DataView(metadata.buffer, metadata.byteOffset, metadata.byteLength);
    const table = view.getUint32(0, true);
    const fields = table - view.getInt32(table, true);
    const field = (index: number): number => {
      const at = 4 + 2 * index;
      const offset = at < view.getUint16(fields, true) ? view.getUint16(fields + at, true) : 0;
      return offset === 0 ? 0 : table + offset;
    };
    const [kindAt, bodyAt] = [field(1), field(3)];
    return {
      kind: kindAt === 0 ? 0 : view.getUint8(kindAt),
      body: bodyAt === 0 ? 0 : Number(view.getBigInt64(bodyAt, true)),
    };
  } catch {
    throw refused(name, 'the Arrow file is damaged');
  }
}

function decoded(stream: Uint8Array[], name: string): Table {
  try {
    return arrowTable(stream, MESSAGE_LIMIT);
  } catch (error) {
    throw refused(
      name,
      error instanceof UnpackedTooLarge
        ? `a record batch of more than ${MESSAGE_LIMIT} bytes; write it in smaller ones`
        : 'the Arrow file is damaged',
    );
  }
}

/** Floats of one column of one record batch. */
type Floats = { title: string; width: number; x: Float32Array };

/** `from`: how many rows of the file come before this batch. */
type BatchOptions = { tensor: string | null; name: string; from: number };

function batchRows(table: Table, { tensor, name, from }: BatchOptions): Floats {
  const all = table.names.flatMap((title, i) => floatsOf(String(title), table.getChildAt(i), { name, from }) ?? []);
  const lists = all.filter(({ title, width }) => (tensor === null ? width > 1 : title === tensor));
  const [only] = lists;
  if (only && lists.length === 1) {
    return only;
  }
  const names = all.map(({ title }) => `'${title}'`).join(', ');
  if (tensor !== null || lists.length > 1 || all.length === 0) {
    const asked = tensor === null ? "name one 'tensor'" : `no column '${tensor}' of floats`;
    throw refused(name, `${asked}; of floating-point numbers it has ${names || 'none'}`);
  }
  const rows = table.numRows;
  const x = new Float32Array(rows * all.length);
  for (const [j, column] of all.entries()) {
    for (let i = 0; i < rows; i++) {
      x[i * all.length + j] = column.x[i] ?? 0;
    }
  }
  return { title: '', width: all.length, x };
}

/** A column of floats or of lists of floats of one length; null for another. */
function floatsOf(
  title: string,
  column: ReturnType<Table['getChildAt']>,
  { name, from }: Omit<BatchOptions, 'tensor'>,
): Floats | null {
  const kind = kindOf(column.type as ArrowType);
  if (kind === null) {
    return null;
  }
  const values = column.toArray() as ArrayLike<unknown>;
  const first = values[0];
  const width = kind === 'float' ? 1 : ((first as ArrayLike<number> | null)?.length ?? 0);
  const x = new Float32Array(values.length * width);
  for (let i = 0; i < values.length; i++) {
    const row = kind === 'float' ? [values[i] as number] : (values[i] as ArrayLike<number> | null);
    if (row?.length !== width || hasGap(row)) {
      const why =
        row?.length === width ? 'holds a null' : 'is missing, or of another length than the first of its batch';
      throw refused(name, `row ${from + i} of the column '${title}' ${why}`);
    }
    x.set(row as ArrayLike<number>, i * width);
  }
  return { title, width, x };
}

/** Whether a number is missing, which would be taken for 0; an array of numbers alone has no place for that. */
const hasGap = (row: ArrayLike<unknown>): boolean =>
  !ArrayBuffer.isView(row) && Array.from(row).some((value) => value === null || value === undefined);

/** Arrow's numbers of the types FloatingPoint, List, FixedSizeList, LargeList. */
const [FLOAT, LIST, FIXED_LIST, LARGE_LIST] = [3, 12, 16, 21];

type ArrowType = { typeId: number; children?: readonly { type: { typeId: number } }[]; dictionary?: ArrowType };

/** Of a column whose rows stand in a dictionary, what those are. */
function kindOf(type: ArrowType): 'float' | 'list' | null {
  const { typeId, children } = type.dictionary ?? type;
  if (typeId === FLOAT) {
    return 'float';
  }
  const listed = [LIST, FIXED_LIST, LARGE_LIST].includes(typeId) && children?.[0]?.type.typeId === FLOAT;
  return listed ? 'list' : null;
}
