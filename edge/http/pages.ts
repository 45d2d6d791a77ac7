/** Cursors and pages of lists, newest first. */
import { SextantError } from '../../shared/contracts/problem.ts';

/** Position in a list ordered by (created, id), newest first. */
export type Position = { created: number; id: string };

/** Before everything: where a list without a cursor starts. */
export const NEWEST: Position = { created: Number.MAX_SAFE_INTEGER, id: '~' };

/** Cursors are opaque to clients: base64url of what the next page's query needs. */
const encode = (text: string): string => {
  const bytes = new TextEncoder().encode(text);
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
};

function decode(cursor: string): string {
  try {
    const bytes = Uint8Array.from(atob(cursor.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw invalidCursor();
  }
}

const invalidCursor = (): SextantError =>
  new SextantError('parameter_invalid', 'the cursor is not one that a list of this service gave out', {
    errors: [{ pointer: '/cursor', code: 'cursor_invalid', detail: 'take it from next_cursor or the Link header' }],
  });

const encodeCursor = ({ created, id }: Position): string => encode(`${created} ${id}`);

/** Raises parameter_invalid for a cursor that this service did not give out. */
export function decodeCursor(cursor: string): Position {
  const match = /^(\d{1,16}) ([\x21-\x7e]{1,300})$/.exec(decode(cursor));
  if (!match) throw invalidCursor();
  return { created: Number(match[1]), id: match[2]! };
}

/** The same for lists ordered by a text key. */
export const encodeKeyCursor = (key: string): string => encode(`key ${key}`);
export function decodeKeyCursor(cursor: string): string {
  const text = decode(cursor);
  if (!text.startsWith('key ')) throw invalidCursor();
  return text.slice(4);
}

/** A page out of `limit + 1` rows asked for: the rows, and the cursor of the next page if there is one. */
export function pageOf<R extends Position>(rows: R[], limit: number): { rows: R[]; next: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return { rows: shown, next: rows.length > limit && last ? encodeCursor(last) : null };
}

/** `Link` header to the next page (RFC 8288). */
export function nextLink(url: string, cursor: string): string {
  const next = new URL(url);
  next.searchParams.set('cursor', cursor);
  return `<${next.pathname}${next.search}>; rel="next"`;
}
