/** HMAC keys: importing one costs as much as using it, so those in use are remembered. */
import { BoundedMap } from '../../bounded-map.ts';

const LIMIT = 500;
const keys = new BoundedMap<string, CryptoKey>(LIMIT);

/** The key of these bytes (HMAC-SHA-256). */
export async function hmacKey(bytes: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  const name = String.fromCharCode(...bytes);
  const known = keys.get(name);
  if (known) {
    return known;
  }
  const key = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify']);
  keys.set(name, key);
  return key;
}
