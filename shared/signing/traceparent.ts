/** The header `traceparent` (W3C Trace Context, version 00): one id for all that a request brings about, and one for each part. */

const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

const randomHex = (bytes: number): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, '0')).join('');

/**
 * What a caller presented, in the form of version 00; null where there is nothing that can be gone on from. Of a later
 * version the fields known here count, as the standard says.
 */
export function readTraceparent(header: string | null): string | null {
  const match = FORM.exec(header?.trim() ?? '');
  if (!match) {
    return null;
  }
  const [, version = '', trace = '', parent = '', flags = '', more] = match;
  const broken = version === 'ff' || (version === '00' && more !== undefined);
  return broken || /^0+$/.test(trace) || /^0+$/.test(parent) ? null : `00-${trace}-${parent}-${flags}`;
}

/** A trace of its own, sampled. */
export const newTraceparent = (): string => `00-${randomHex(16)}-${randomHex(8)}-01`;

/** The same trace, for the next part of it. */
export const nextSpan = (traceparent: string): string =>
  `${traceparent.slice(0, 36)}${randomHex(8)}${traceparent.slice(52)}`;

export const traceIdOf = (traceparent: string): string => traceparent.slice(3, 35);
