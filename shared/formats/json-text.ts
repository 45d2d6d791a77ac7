/**
 * What `JSON.parse` does not say of a text: how deep its brackets nest, and which names it would lose. Request bodies and
 * safetensors headers are checked by it before they are parsed.
 */

/** One open bracket: the names an object has had so far, or the place in a list. */
type Open = { object: boolean; names: Set<string> | undefined; at: string | number };

/**
 * `name_repeated`: parsing would drop the first value. `name_reserved`: one of the names that the caller cannot use.
 * `text_ill_formed`: escapes that are half of a character (lone surrogates), which neither UTF-8 nor a database can hold.
 */
type JsonTextFault = {
  kind: 'name_repeated' | 'name_reserved' | 'text_ill_formed' | 'too_deep';
  path: (string | number)[];
};

/**
 * The first fault of a JSON text, in the order of its characters; null if there is none. It looks at characters alone, so
 * depth costs nothing. Whether the rest is JSON is for the parser to say.
 * @param limit brackets that may be open at once
 * @param reserved names that no object may have
 */
export function jsonTextFault(text: string, limit: number, reserved: readonly string[] = []): JsonTextFault | null {
  const open: Open[] = [];
  const path = () => open.map(({ at }) => at);
  let inner: Open | undefined;
  let naming = false;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === 0x22) {
      const from = i + 1;
      let escaped = false;
      let surrogates = false;
      for (i += 1; i < text.length; i += 1) {
        const inside = text.charCodeAt(i);
        if (inside === 0x22) {
          break;
        }
        if (inside === 0x5c) {
          escaped = true;
          surrogates ||= /^u[dD][89a-fA-F]/.test(text.slice(i + 1, i + 4));
          i += 1;
        }
      }
      const illFormed = surrogates && unescaped(text.slice(from, i))?.isWellFormed() === false;
      if (!naming || !inner) {
        if (illFormed) {
          return { kind: 'text_ill_formed', path: path() };
        }
        continue;
      }
      naming = false;
      const name = escaped ? unescaped(text.slice(from, i)) : text.slice(from, i);
      if (name === undefined) {
        continue;
      }
      inner.at = name;
      if (illFormed) {
        return { kind: 'text_ill_formed', path: path() };
      }
      inner.names ??= new Set();
      if (inner.names.has(name)) {
        return { kind: 'name_repeated', path: path() };
      }
      if (reserved.includes(name)) {
        return { kind: 'name_reserved', path: path() };
      }
      inner.names.add(name);
    } else if (code === 0x7b || code === 0x5b) {
      naming = code === 0x7b;
      inner = { object: naming, names: undefined, at: 0 };
      open.push(inner);
      if (open.length > limit) {
        return { kind: 'too_deep', path: path() };
      }
    } else if (code === 0x7d || code === 0x5d) {
      open.pop();
      inner = open.at(-1);
      naming = false;
    } else if (code === 0x2c && inner) {
      naming = inner.object;
      if (!naming) {
        inner.at = (inner.at as number) + 1;
      }
    }
  }
  return null;
}

/** The name that escapes stand for; undefined for what is no JSON string. */
function unescaped(raw: string): string | undefined {
  try {
    return JSON.parse(`"${raw}"`) as string;
  } catch {
    return undefined;
  }
}
