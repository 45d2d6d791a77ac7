/**
 * Headers of safetensors files, read as hostile input: nothing that the header claims is believed before it has been
 * checked against the file's size and against the other tensors. The format: an unsigned 64-bit length, that many bytes
 * of JSON, then the tensors' bytes, to which the offsets are relative.
 */
import { HeaderSyntaxError, type HeaderValue, parseHeaderJson } from './safetensors-json.ts';

/** Bytes per element of every dtype that this project reads. */
export const DTYPE_BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  F8_E4M3: 1,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;
export type SafetensorsDtype = keyof typeof DTYPE_BYTES;

/** One tensor: where its bytes lie in the file (absolute offsets, `end` exclusive). */
export type SafetensorsEntry = { name: string; dtype: SafetensorsDtype; shape: number[]; begin: number; end: number };

export type SafetensorsHeader = {
  /** Offset of the first tensor byte. */
  dataStart: number;
  metadata: Record<string, string>;
  tensors: Map<string, SafetensorsEntry>;
};

type SafetensorsErrorCode =
  | 'safetensors_truncated'
  | 'safetensors_header_too_large'
  | 'safetensors_header_invalid'
  | 'safetensors_duplicate_name'
  | 'safetensors_dtype_unknown'
  | 'safetensors_size_mismatch'
  | 'safetensors_out_of_bounds'
  | 'safetensors_overlap'
  | 'safetensors_gap'
  | 'safetensors_tensor_missing';

/** What is wrong with a safetensors file; `code` is stable. */
export class SafetensorsError extends Error {
  readonly code: SafetensorsErrorCode;
  constructor(code: SafetensorsErrorCode, message: string) {
    super(message);
    this.name = 'SafetensorsError';
    this.code = code;
  }
}

/** The reference implementation's bound on a header, 100 MB; and a bound on tensors, so that parsing stays cheap. */
const MAX_HEADER_BYTES = 100_000_000;
const MAX_TENSORS = 200_000;
const MAX_RANK = 16;

/**
 * The header's length from the first eight bytes of a file of `fileBytes` bytes.
 * @throws SafetensorsError `safetensors_truncated`, `safetensors_header_too_large`
 */
export function headerLength(prefix: Uint8Array, fileBytes: number): number {
  if (prefix.length < 8 || fileBytes < 8) {
    throw new SafetensorsError(
      'safetensors_truncated',
      `a safetensors file has at least 8 bytes, this one ${fileBytes}`,
    );
  }
  const view = new DataView(prefix.buffer, prefix.byteOffset, 8);
  const length = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  if (length > MAX_HEADER_BYTES) {
    throw new SafetensorsError(
      'safetensors_header_too_large',
      `header of ${length} bytes; at most ${MAX_HEADER_BYTES}`,
    );
  }
  if (8 + length > fileBytes) {
    throw new SafetensorsError(
      'safetensors_truncated',
      `header claims ${length} bytes, the file has ${fileBytes - 8} left`,
    );
  }
  return length;
}

/**
 * The checked header whose JSON is `json`, of a file of `fileBytes` bytes.
 * Tensors may not overlap and must cover the data part without gaps, as in the reference implementation.
 * @throws SafetensorsError
 */
export function parseHeader(json: Uint8Array, fileBytes: number): SafetensorsHeader {
  const dataStart = 8 + json.length;
  const fields = parseFields(json);
  const { __metadata__, ...described } = fields;
  const metadata = readMetadata(__metadata__);
  const entries = Object.entries(described);
  if (entries.length > MAX_TENSORS) {
    throw invalid(`${entries.length} tensors; at most ${MAX_TENSORS}`);
  }
  const tensors = new Map<string, SafetensorsEntry>();
  for (const [name, value] of entries) {
    tensors.set(name, readEntry(name, value, dataStart, fileBytes));
  }
  checkLayout([...tensors.values()], dataStart, fileBytes);
  return { dataStart, metadata, tensors };
}

const invalid = (message: string) => new SafetensorsError('safetensors_header_invalid', message);

type Fields = { [name: string]: HeaderValue };
const isObject = (value: HeaderValue): value is Fields => typeof value === 'object' && !Array.isArray(value);

function parseFields(json: Uint8Array): Fields {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
  } catch {
    throw invalid('the header is not UTF-8');
  }
  if (text[0] !== '{') {
    throw invalid("the header must begin with '{'");
  }
  try {
    return parseHeaderJson(text) as Fields; // a text that begins with a brace is an object, or no JSON
  } catch (error) {
    if (!(error instanceof HeaderSyntaxError)) {
      throw error;
    }
    if (error.duplicate !== null) {
      throw new SafetensorsError('safetensors_duplicate_name', error.message);
    }
    throw invalid(error.message);
  }
}

function readMetadata(value: HeaderValue | undefined): Record<string, string> {
  if (value === undefined) {
    return {};
  }
  if (!isObject(value)) {
    throw invalid('__metadata__ must be an object of strings');
  }
  const metadata: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') {
      throw invalid(`__metadata__ '${key}' must be a string`);
    }
    metadata[key] = text;
  }
  return metadata;
}

function readEntry(name: string, value: HeaderValue, dataStart: number, fileBytes: number): SafetensorsEntry {
  if (!isObject(value)) {
    throw invalid(`tensor '${name}' must be an object`);
  }
  const dtype = value.dtype;
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_BYTES, dtype)) {
    throw new SafetensorsError(
      'safetensors_dtype_unknown',
      `tensor '${name}' has dtype '${String(dtype)}'; known are ${Object.keys(DTYPE_BYTES).join(', ')}`,
    );
  }
  const shape = integers(value.shape, `shape of tensor '${name}'`);
  const offsets = integers(value.data_offsets, `data_offsets of tensor '${name}'`);
  if (shape.length > MAX_RANK) {
    throw invalid(`tensor '${name}' has ${shape.length} axes; at most ${MAX_RANK}`);
  }
  if (offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw invalid(`data_offsets of tensor '${name}' must be [begin, end] with begin <= end`);
  }
  for (const key of Object.keys(value)) {
    if (key !== 'dtype' && key !== 'shape' && key !== 'data_offsets') {
      throw invalid(`tensor '${name}' has an unknown field '${key}'`);
    }
  }
  const [begin, end] = [dataStart + offsets[0]!, dataStart + offsets[1]!];
  if (end > fileBytes) {
    throw new SafetensorsError(
      'safetensors_out_of_bounds',
      `tensor '${name}' ends at byte ${end}, the file has ${fileBytes}`,
    );
  }
  const bytes = shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype as SafetensorsDtype]);
  if (bytes !== end - begin) {
    throw new SafetensorsError(
      'safetensors_size_mismatch',
      `tensor '${name}' of shape [${shape}] and dtype ${dtype} takes ${bytes} bytes, its offsets span ${end - begin}`,
    );
  }
  return { name, dtype: dtype as SafetensorsDtype, shape, begin, end };
}

function integers(value: HeaderValue | undefined, what: string): number[] {
  if (!Array.isArray(value) || value.some((item) => typeof item !== 'number' || item < 0)) {
    throw invalid(`${what} must be a list of non-negative integers`);
  }
  return value as number[];
}

function checkLayout(entries: SafetensorsEntry[], dataStart: number, fileBytes: number): void {
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = dataStart;
  for (const entry of entries) {
    if (entry.begin < covered) {
      throw new SafetensorsError('safetensors_overlap', `tensor '${entry.name}' overlaps the tensor before it`);
    }
    if (entry.begin > covered) {
      throw new SafetensorsError(
        'safetensors_gap',
        `${entry.begin - covered} bytes before '${entry.name}' belong to none`,
      );
    }
    covered = entry.end;
  }
  if (covered !== fileBytes) {
    throw new SafetensorsError('safetensors_gap', `the last ${fileBytes - covered} bytes belong to no tensor`);
  }
}
