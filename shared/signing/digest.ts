/** Digests and content ids: sha-256 over canonical JSON (RFC 8785), shown in hexadecimal or lower-case base32. */
import canonicalize from 'canonicalize';
import { type Manifest, PUBLISHED_PREFIXES } from '../contracts/manifest.ts';

/** Canonical JSON (RFC 8785). Raises TypeError for values JSON cannot hold (NaN, infinity, functions). */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) {
    throw new TypeError('canonical JSON: the value has no JSON form');
  }
  return text;
}

export async function sha256(bytes: Uint8Array<ArrayBuffer> | string): Promise<Uint8Array> {
  const data = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes;
  return new Uint8Array(await crypto.subtle.digest('SHA-256', data));
}

export const hex = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
export const sha256Hex = async (bytes: Uint8Array<ArrayBuffer> | string): Promise<string> => hex(await sha256(bytes));

/** RFC 4648 base32, lower case, without padding. */
export function base32(bytes: Uint8Array): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
  let text = '';
  let buffer = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffer = ((buffer << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += alphabet[(buffer >> bits) & 31];
    }
  }
  return bits > 0 ? text + alphabet[(buffer << (5 - bits)) & 31] : text;
}

/** A random id: prefix and 128 random bits. */
export const randomId = (prefix: string): string => `${prefix}_${base32(crypto.getRandomValues(new Uint8Array(16)))}`;

/** Id of a published result: prefix and the digest of its canonical manifest. */
/** An id of the random form that is the same for the same parts. */
export const derivedId = async (prefix: string, parts: unknown): Promise<string> =>
  `${prefix}_${base32((await sha256(canonicalJson(parts))).slice(0, 16))}`;

export const manifestId = async (manifest: Manifest): Promise<string> =>
  `${PUBLISHED_PREFIXES[manifest.kind]}_${base32(await sha256(canonicalJson(manifest)))}`;

/** Digest of a job's input: equal work has an equal digest whatever the key order or omitted defaults were. */
export const inputDigest = (type: string, version: number, params: unknown): Promise<string> =>
  sha256Hex(canonicalJson({ type, version, params }));
