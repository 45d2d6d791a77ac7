/** Cursors and pages of lists, newest first. */
import type { Context } from 'hono';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { AppEnv } from '../environment.ts';

/** Position in a list ordered by (created, id), newest first. */
export type Position = { created: number; id: string };

/** Before everything: where a list without a cursor starts. */
const NEWEST: Position = { created: Number.MAX_SAFE_INTEGER, id: '~' };

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

const invalidCursor = (detail = 'take it from next_cursor or the Link header'): SextantError =>
  new SextantError('parameter_invalid', 'the cursor is not one that this list gave out', {
    errors: [{ pointer: '/cursor', code: 'cursor_invalid', detail }],
  });

const encodeCursor = ({ created, id }: Position): string => encode(`${created} ${id}`);

/** Raises parameter_invalid for a cursor that this service did not give out. */
function decodeCursor(cursor: string): Position {
  const match = /^(\d{1,16}) ([\x21-\x7e]{1,300})$/.exec(decode(cursor));
  if (!match) {
    throw invalidCursor();
  }
  return { created: Number(match[1]), id: match[2]! };
}

/** The same for lists ordered by a text key. */
const encodeKeyCursor = (key: string): string => encode(`key ${key}`);
function decodeKeyCursor(cursor: string): string {
  const text = decode(cursor);
  if (!text.startsWith('key ')) {
    throw invalidCursor();
  }
  return text.slice(4);
}

/** How a list is ordered: where a page starts, and the cursor of the page after a row. */
type Order<Row, Start> = { start: (cursor: string | undefined) => Start; after: (row: Row) => string };

export const newestFirst: Order<Position, Position> = {
  start: (cursor) => (cursor === undefined ? NEWEST : decodeCursor(cursor)),
  after: encodeCursor,
};
/** In the order of a text; a page starts after the one given, the first after the empty one. */
export const byKey = <Row>(keyOf: (row: Row) => string): Order<Row, string> => ({
  start: (cursor) => (cursor === undefined ? '' : decodeKeyCursor(cursor)),
  after: (row) => encodeKeyCursor(keyOf(row)),
});
/** By numbers of its own, which the cursor holds together with the name of its list; `first` where there is none. */
export const byNumber = <Row>(list: string, first: number, numberOf: (row: Row) => number): Order<Row, number> => ({
  start(cursor) {
    if (cursor === undefined) {
      return first;
    }
    const key = decodeKeyCursor(cursor);
    const number = key.slice(list.length + 1);
    if (key.startsWith(`${list} `) && /^\d{1,15}$/.test(number)) {
      return Number(number);
    }
    throw invalidCursor('it goes on where it was given out: the same list and order');
  },
  after: (row) => encodeKeyCursor(`${list} ${numberOf(row)}`),
});

/** Characters of JSON after which a page ends before its limit: it has one item at least. */
const PAGE_CHARACTERS = 2_000_000;

/**
 * The body of a list's page, and its `Link` header to the next one (RFC 8288). `read` gives up to so many rows from the
 * start on: one more is asked for than is shown. Raises parameter_invalid for a cursor that is none of this list.
 */
export async function pageOf<Row, Start, Shown>(
  c: Context<AppEnv>,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
  order: Order<Row, Start>,
  read: (start: Start, limit: number) => Promise<Row[]> | Row[],
  view: (row: Row) => Shown,
): Promise<{ data: Shown[]; next_cursor: string | null }> {
  const rows = await read(order.start(cursor), limit + 1);
  const data: Shown[] = [];
  let room = PAGE_CHARACTERS;
  for (const row of rows.slice(0, limit)) {
    const one = view(row);
    room -= JSON.stringify(one).length;
    if (room < 0 && data.length > 0) {
      break;
    }
    data.push(one);
  }
  const last = rows[data.length - 1];
  const next = rows.length > data.length && last !== undefined ? order.after(last) : null;
  if (next !== null) {
    const url = new URL(c.req.url);
    url.searchParams.set('cursor', next);
    c.header('link', `<${url.pathname}${url.search}>; rel="next"`);
  }
  return { data, next_cursor: next };
}
