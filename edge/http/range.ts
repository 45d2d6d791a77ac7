/** One byte range of a request (RFC 9110, 14); several ranges at once are answered with the whole, as is allowed. */
import { SextantError } from '../../shared/contracts/problem.ts';

type ByteRange = { offset: number; length: number };

/** The range that a request asks for of what stands at `etag`; null for the whole. @throws SextantError `range_unsatisfiable` */
export function rangeOf(headers: Headers, etag: string, size: number): ByteRange | null {
  const ifRange = headers.get('if-range');
  return ifRange === null || ifRange === etag ? byteRange(headers.get('range'), size) : null;
}

/** `Content-Range` of a part of `size` bytes. */
export const contentRange = ({ offset, length }: ByteRange, size: number): string =>
  `bytes ${offset}-${offset + length - 1}/${size}`;

/** The range asked for of `size` bytes; null for the whole. Raises range_unsatisfiable. */
export function byteRange(header: string | null, size: number): ByteRange | null {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? '');
  if (!match || (match[1] === '' && match[2] === '')) {
    return null;
  }
  const [first, last] = match[1] === '' ? suffix(Number(match[2]), size) : [Number(match[1]), lastOf(match[2]!, size)];
  if (match[1] !== '' && match[2] !== '' && Number(match[2]) < first) {
    return null;
  }
  if (first >= size || last < first) {
    throw new SextantError('range_unsatisfiable', `there are ${size} bytes`, {
      details: { bytes: size },
    });
  }
  return { offset: first, length: last - first + 1 };
}

const suffix = (length: number, size: number): [number, number] =>
  length === 0 ? [size, size] : [Math.max(0, size - length), size - 1];
const lastOf = (text: string, size: number): number => (text === '' ? size - 1 : Math.min(Number(text), size - 1));
