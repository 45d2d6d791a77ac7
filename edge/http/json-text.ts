/** What is asked of JSON text before anything parses it: parsers nest without bound and forget names without a word. */
import { jsonPointer, SextantError } from '../../shared/contracts/problem.ts';

/** One open bracket: the names an object has had so far, or the place in a list. */
type Open = { object: boolean; names: Set<string> | undefined; at: string | number };

const refuse = (open: readonly Open[], code: string, what: string): SextantError => {
  const pointer = jsonPointer(open.map(({ at }) => at));
  const detail = `${pointer.slice(0, 300)}: ${what}`;
  return new SextantError('validation_failed', detail, { errors: [{ pointer, code, detail }] });
};

/**
 * Raises body_malformed where brackets nest deeper than `limit`; looks at characters alone, so depth costs nothing. Raises
 * validation_failed for a name that parsing would lose: the second of two equal ones in an object (`name_repeated`; the
 * first value would be dropped), and `__proto__` (`name_reserved`; free-form maps cannot hold it). Whether the rest is
 * JSON is for the parser to say.
 */
export function checkJsonText(text: string, limit: number): void {
  const open: Open[] = [];
  let inner: Open | undefined;
  let naming = false;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === 0x22) {
      const from = i + 1;
      let escaped = false;
      for (i += 1; i < text.length; i += 1) {
        const inside = text.charCodeAt(i);
        if (inside === 0x22) break;
        if (inside === 0x5c) {
          escaped = true;
          i += 1;
        }
      }
      if (!naming || !inner) continue;
      naming = false;
      const name = escaped ? unescaped(text.slice(from, i)) : text.slice(from, i);
      if (name === undefined) continue;
      inner.at = name;
      inner.names ??= new Set();
      if (inner.names.has(name)) throw refuse(open, 'name_repeated', 'this object already has a field of that name');
      if (name === '__proto__') throw refuse(open, 'name_reserved', 'this name cannot be used; any other can');
      inner.names.add(name);
    } else if (code === 0x7b || code === 0x5b) {
      naming = code === 0x7b;
      inner = { object: naming, names: undefined, at: 0 };
      open.push(inner);
      if (open.length > limit) throw new SextantError('body_malformed', `the body nests deeper than ${limit} levels`);
    } else if (code === 0x7d || code === 0x5d) {
      open.pop();
      inner = open.at(-1);
      naming = false;
    } else if (code === 0x2c && inner) {
      naming = inner.object;
      if (!naming) inner.at = (inner.at as number) + 1;
    }
  }
}

/** The name that escapes stand for; undefined for what is no JSON string. */
function unescaped(raw: string): string | undefined {
  try {
    return JSON.parse(`"${raw}"`) as string;
  } catch {
    return undefined;
  }
}
