/** The bytes of a vector in each format and dtype, with everything about them that does not change between answers. */

import type { VectorDtype } from '../../shared/contracts/vector.ts';
import { npyPrefix } from '../../shared/formats/npy.ts';
import { floatTensor, writeSafetensors } from '../../shared/formats/safetensors.ts';
import { float16Bits, float16Value } from '../../shared/formats/safetensors-values.ts';
import { sha256Hex } from '../../shared/signing/digest.ts';
import { PUBLIC_TENANT } from '../environment.ts';
import type { VectorDescription, VectorRecord } from './record.ts';
import { MEDIA_TYPES, type Selection } from './selection.ts';

export type Tier = 'memory' | 'kv' | 'r2';
/** `Server-Timing` that says which tier answered. */
export const tierTiming = (tier: Tier): string => `tier;desc="${tier}"`;

export type Representation = {
  readonly owner: string;
  readonly description: VectorDescription;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Strong: the digest of `bytes`, in quotes. */
  readonly etag: string;
  /**
   * Headers of a 304 and of a 200 from memory, made once: handing over a `Headers` object costs half of handing over its
   * fields, and a field that is in it costs less than one that is added.
   */
  readonly validators: Headers;
  readonly headers: Headers;
};

export async function represent(record: VectorRecord, selection: Selection): Promise<Representation> {
  const bytes = encode(record, selection);
  const etag = `"${await sha256Hex(bytes)}"`;
  const validators = {
    etag,
    // the id is the content's digest, so a public answer never changes; a private one must end soon after its key does
    'cache-control': record.owner === PUBLIC_TENANT ? 'public, max-age=31536000, immutable' : 'private, max-age=300',
    vary: 'Accept, Authorization',
    'server-timing': tierTiming('memory'),
    'x-content-type-options': 'nosniff',
  };
  const headers = {
    ...validators,
    'content-type': MEDIA_TYPES[selection.format],
    'content-length': String(bytes.byteLength),
    'accept-ranges': 'bytes',
    'sextant-vector': summary(record.description),
    link: `</v1/vectors/${record.description.id}>; rel="describedby"`,
  };
  return {
    owner: record.owner,
    description: record.description,
    bytes,
    etag,
    validators: new Headers(validators),
    headers: new Headers(headers),
  };
}

function encode({ description, values }: VectorRecord, { format, dtype }: Selection): Uint8Array<ArrayBuffer> {
  const { width } = description;
  switch (format) {
    case 'metadata':
      return utf8(JSON.stringify(description));
    case 'json':
      return utf8(JSON.stringify({ ...description, dtype, values: jsonValues(values, dtype) }));
    case 'raw':
      return narrowed(values, dtype);
    case 'npy':
      return concatenated(npyPrefix(dtype, [width]), narrowed(values, dtype));
    case 'safetensors': {
      const tensor = floatTensor('vector', [width], floats(values), dtype === 'float16' ? 'F16' : 'F32');
      return concatenated(writeSafetensors([tensor], { vector: JSON.stringify(description) }));
    }
    default:
      return format satisfies never;
  }
}

const utf8 = (text: string) => new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>;

/** The float32 numbers behind little-endian bytes; copies where they are not aligned. */
export function floats(bytes: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}

function narrowed(values: Uint8Array<ArrayBuffer>, dtype: VectorDtype): Uint8Array<ArrayBuffer> {
  // a copy of its own, so that a remembered representation does not keep the whole record's memory
  if (dtype === 'float32') {
    return values.slice();
  }
  return new Uint8Array(Uint16Array.from(floats(values), float16Bits).buffer);
}

/** Nine significant digits give every float32 back exactly, five every float16. */
export function jsonValues(values: Uint8Array<ArrayBuffer>, dtype: VectorDtype): number[] {
  return dtype === 'float32'
    ? Array.from(floats(values), (x) => Number(x.toPrecision(9)))
    : Array.from(floats(values), (x) => Number(float16Value(float16Bits(x)).toPrecision(5)));
}

function concatenated(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.byteLength;
  }
  return whole;
}

/** Provenance in short, as a structured field (RFC 9651): it travels with formats that have no room for it. */
function summary(description: VectorDescription): string {
  const quoted = (text: string) => `"${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`;
  // structured fields know decimals of at most 12 + 3 digits, so numbers travel as strings
  const fields: [string, string | number | null][] = [
    ['id', description.id],
    ['model', description.model],
    ['hook', description.hook],
    ['method', description.method],
    ['width', description.width],
    ['residual-norm', description.residual_norm],
    ['strength', description.strength],
  ];
  return fields
    .filter((field): field is [string, string | number] => field[1] !== null)
    .map(([name, value]) => `${name}=${typeof value === 'string' || name !== 'width' ? quoted(String(value)) : value}`)
    .join(', ');
}
