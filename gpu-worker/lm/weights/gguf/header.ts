/**
 * The head of a GGUF file, read as hostile input: metadata and the list of tensors, every size checked against the file
 * before it is believed. Versions 2 and 3, little endian.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { SextantError } from '../../../../shared/contracts/problem.ts';
import { ELEMENT_TYPES, type ElementType, OTHER_TYPES } from './dequantise.ts';

export type MetadataValue = string | number | boolean | readonly MetadataValue[] | Float32Array | Int32Array;

export type GgufTensor = {
  name: string;
  type: ElementType;
  /** Rows outermost, as everywhere else; the file lists them innermost first. */
  shape: readonly number[];
  /** Bytes of the file. */
  begin: number;
  end: number;
};

export type GgufHeader = {
  metadata: ReadonlyMap<string, MetadataValue>;
  tensors: ReadonlyMap<string, GgufTensor>;
  bytes: number;
};

const MAGIC = 0x46554747;
const MAX_KEYS = 65_536;
const MAX_TENSORS = 65_536;
const MAX_ARRAY = 2 ** 22;
const MAX_TEXT = 2 ** 24;
const MAX_RANK = 4;

const invalid = (message: string) => new SextantError('weights_invalid', `GGUF: ${message}`);

/** Reads forward through a file by way of a window of it. */
class Cursor {
  at = 0;
  readonly size: number;
  readonly #file: number;
  #window = new DataView(new ArrayBuffer(0));
  #start = 0;

  constructor(file: number) {
    this.#file = file;
    this.size = fstatSync(file).size;
  }

  /** Moves past `length` bytes and gives a view of them with the offset of the first. */
  take(length: number): { view: DataView; offset: number } {
    if (length > this.size - this.at) {
      throw invalid(`the file ends at byte ${this.size}, within its head`);
    }
    const end = this.#start + this.#window.byteLength;
    if (this.at < this.#start || this.at + length > end) {
      this.#fill(length);
    }
    const offset = this.at - this.#start;
    this.at += length;
    return { view: this.#window, offset };
  }

  #fill(length: number): void {
    const want = Math.min(Math.max(length, 2 ** 18), this.size - this.at);
    const bytes = new Uint8Array(want);
    for (let done = 0; done < want; ) {
      const got = readSync(this.#file, bytes, done, want - done, this.at + done);
      if (got === 0) {
        throw invalid('the file ended while it was read');
      }
      done += got;
    }
    this.#window = new DataView(bytes.buffer);
    this.#start = this.at;
  }

  uint32(): number {
    const { view, offset } = this.take(4);
    return view.getUint32(offset, true);
  }

  /** A 64-bit count or offset. */
  size64(what: string): number {
    const { view, offset } = this.take(8);
    const value = view.getBigUint64(offset, true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw invalid(`${what} is ${value}`);
    }
    return Number(value);
  }

  text(what: string): string {
    const length = this.size64(`the length of ${what}`);
    if (length > MAX_TEXT) {
      throw invalid(`${what} has ${length} bytes`);
    }
    const { view, offset } = this.take(length);
    return new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + offset, length));
  }
}

/** Bytes and reading of the scalar types, by GGUF's number. */
const SCALARS: ReadonlyMap<number, { bytes: number; read: (view: DataView, at: number) => number | boolean }> = new Map(
  [
    [0, { bytes: 1, read: (v: DataView, at: number) => v.getUint8(at) }],
    [1, { bytes: 1, read: (v: DataView, at: number) => v.getInt8(at) }],
    [2, { bytes: 2, read: (v: DataView, at: number) => v.getUint16(at, true) }],
    [3, { bytes: 2, read: (v: DataView, at: number) => v.getInt16(at, true) }],
    [4, { bytes: 4, read: (v: DataView, at: number) => v.getUint32(at, true) }],
    [5, { bytes: 4, read: (v: DataView, at: number) => v.getInt32(at, true) }],
    [6, { bytes: 4, read: (v: DataView, at: number) => v.getFloat32(at, true) }],
    [7, { bytes: 1, read: (v: DataView, at: number) => v.getUint8(at) !== 0 }],
    [10, { bytes: 8, read: (v: DataView, at: number) => Number(v.getBigUint64(at, true)) }],
    [11, { bytes: 8, read: (v: DataView, at: number) => Number(v.getBigInt64(at, true)) }],
    [12, { bytes: 8, read: (v: DataView, at: number) => v.getFloat64(at, true) }],
  ],
);
const TEXT = 8;
const ARRAY = 9;

function readValue(cursor: Cursor, type: number, key: string, depth = 0): MetadataValue {
  if (type === TEXT) {
    return cursor.text(`'${key}'`);
  }
  if (type === ARRAY) {
    return readArray(cursor, key, depth);
  }
  const scalar = SCALARS.get(type);
  if (!scalar) {
    throw invalid(`'${key}' has the unknown type ${type}`);
  }
  const { view, offset } = cursor.take(scalar.bytes);
  return scalar.read(view, offset);
}

function readArray(cursor: Cursor, key: string, depth: number): MetadataValue {
  if (depth > 1) {
    throw invalid(`'${key}' is a list of lists of lists`);
  }
  const type = cursor.uint32();
  const count = cursor.size64(`the length of '${key}'`);
  const least = type === TEXT ? 8 : type === ARRAY ? 12 : (SCALARS.get(type)?.bytes ?? 1);
  if (count > MAX_ARRAY || count * least > cursor.size - cursor.at) {
    throw invalid(`'${key}' lists ${count} values`);
  }
  const scalar = SCALARS.get(type);
  if (scalar && (type === 5 || type === 6)) {
    const out = type === 5 ? new Int32Array(count) : new Float32Array(count);
    const { view, offset } = cursor.take(count * 4);
    for (let i = 0; i < count; i++) {
      out[i] = scalar.read(view, offset + i * 4) as number;
    }
    return out;
  }
  return Array.from({ length: count }, () => readValue(cursor, type, key, depth + 1));
}

/** @throws SextantError `weights_invalid`, `model_unsupported` for a type of element that is not read */
export function readGgufHeader(path: string): GgufHeader {
  const file = openSync(path, 'r');
  try {
    return readHead(new Cursor(file));
  } finally {
    closeSync(file);
  }
}

function readHead(cursor: Cursor): GgufHeader {
  if (cursor.size < 24 || cursor.uint32() !== MAGIC) {
    throw invalid('the file does not begin with GGUF');
  }
  const version = cursor.uint32();
  if (version !== 2 && version !== 3) {
    throw invalid(`version ${version}; 2 and 3, little endian, are supported`);
  }
  const tensorCount = cursor.size64('the number of tensors');
  const keyCount = cursor.size64('the number of keys');
  if (tensorCount > MAX_TENSORS || keyCount > MAX_KEYS) {
    throw invalid(`${tensorCount} tensors and ${keyCount} keys`);
  }
  const metadata = new Map<string, MetadataValue>();
  for (let i = 0; i < keyCount; i++) {
    const key = cursor.text('a key');
    if (metadata.has(key)) {
      throw invalid(`the key '${key.slice(0, 80)}' is there twice`);
    }
    metadata.set(key, readValue(cursor, cursor.uint32(), key.slice(0, 80)));
  }
  const listed = Array.from({ length: tensorCount }, () => readTensor(cursor));
  const align = metadata.get('general.alignment') ?? 32;
  if (typeof align !== 'number' || !Number.isInteger(align) || align < 1 || align > 2 ** 20) {
    throw invalid(`general.alignment is ${String(align).slice(0, 20)}`);
  }
  const start = Math.ceil(cursor.at / align) * align;
  return { metadata, tensors: placed(listed, start, cursor.size, align), bytes: cursor.size };
}

type ListedTensor = Omit<GgufTensor, 'begin' | 'end'> & { offset: number; bytes: number };

function readTensor(cursor: Cursor): ListedTensor {
  const name = cursor.text('the name of a tensor');
  const rank = cursor.uint32();
  if (rank < 1 || rank > MAX_RANK) {
    throw invalid(`tensor '${name.slice(0, 80)}' has ${rank} axes`);
  }
  const sizes = Array.from({ length: rank }, () => cursor.size64(`a size of '${name.slice(0, 80)}'`));
  const number = cursor.uint32();
  const type = ELEMENT_TYPES.get(number);
  if (!type) {
    throw new SextantError(
      'model_unsupported',
      `tensor '${name.slice(0, 80)}' is of the GGUF type ${OTHER_TYPES.get(number) ?? number}; supported are ` +
        [...ELEMENT_TYPES.values()].map((known) => known.name).join(', '),
    );
  }
  const offset = cursor.size64(`the place of '${name.slice(0, 80)}'`);
  const count = sizes.reduce((product, size) => product * size, 1);
  if (!Number.isSafeInteger(count) || count < 1) {
    throw invalid(`tensor '${name.slice(0, 80)}' has shape [${sizes}]`);
  }
  if (sizes[0]! % type.values !== 0) {
    throw invalid(
      `tensor '${name.slice(0, 80)}' has rows of ${sizes[0]}, not a multiple of ${type.values} (${type.name})`,
    );
  }
  return { name, type, shape: sizes.reverse(), offset, bytes: (count / type.values) * type.bytes };
}

/** Where the tensors lie, none beyond the file's end and none over another. */
function placed(listed: readonly ListedTensor[], start: number, size: number, align: number): Map<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>();
  for (const { offset, bytes, ...tensor } of listed) {
    if (tensors.has(tensor.name)) {
      throw invalid(`tensor '${tensor.name.slice(0, 80)}' is there twice`);
    }
    if (offset % align !== 0) {
      throw invalid(`tensor '${tensor.name.slice(0, 80)}' begins at ${offset}, not a multiple of ${align}`);
    }
    const [begin, end] = [start + offset, start + offset + bytes];
    if (end > size) {
      throw invalid(`tensor '${tensor.name.slice(0, 80)}' ends at byte ${end}, the file has ${size}`);
    }
    tensors.set(tensor.name, { ...tensor, begin, end });
  }
  let covered = start;
  for (const { name, begin, end } of [...tensors.values()].sort((a, b) => a.begin - b.begin)) {
    if (begin < covered) {
      throw invalid(`tensor '${name.slice(0, 80)}' overlaps the tensor before it`);
    }
    covered = end;
  }
  return tensors;
}
