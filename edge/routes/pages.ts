/** Cursors and pages of lists, newest first. */
import { SextantError } from '../../shared/contracts/problem.ts';

/** Position in a list ordered by (created, id), newest first. */
export type Position = { created: number; id: string };

export const encodeCursor = (position: Position): string =>
  btoa(`${position.created} ${position.id}`).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

/** Raises parameter_invalid for a cursor that this service did not give out. */
export function decodeCursor(cursor: string): Position {
  let text = '';
  try {
    text = atob(cursor.replaceAll('-', '+').replaceAll('_', '/'));
  } catch {
    // falls through to the refusal
  }
  const match = /^(\d{1,16}) ([\x21-\x7e]{1,300})$/.exec(text);
  if (!match)
    throw new SextantError('parameter_invalid', 'the cursor is not one that a list of this service gave out', {
      errors: [{ pointer: '/cursor', code: 'cursor_invalid', detail: 'take it from next_cursor or the Link header' }],
    });
  return { created: Number(match[1]), id: match[2]! };
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
