/**
 * The JSON of a safetensors header, read strictly: `JSON.parse` keeps the last of two equal keys without a word, and a
 * header that names a tensor twice must be refused. Values are bounded in depth, and numbers must be safe integers,
 * since shapes and offsets are the only numbers a header holds.
 */
export type HeaderValue = string | number | HeaderValue[] | Map<string, HeaderValue>;

/** Thrown with the offset of the offending character; the caller turns it into its own typed error. */
export class HeaderSyntaxError extends Error {
  readonly duplicate: string | null;
  constructor(message: string, duplicate: string | null = null) {
    super(message);
    this.name = 'HeaderSyntaxError';
    this.duplicate = duplicate;
  }
}

/** A JSON string token, used to find its end; its content is then decoded by `JSON.parse`, escapes included. */
const STRING = /"(?:[^"\\]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const INTEGER = /-?(?:0|[1-9][0-9]{0,15})(?![0-9.eE])/y;
const SPACE = /[ \t\r\n]*/y;
const MAX_DEPTH = 4;

/** The value that `text` holds, all of it. @throws HeaderSyntaxError */
export function parseHeaderJson(text: string): HeaderValue {
  let at = 0;
  const match = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (!found) return null;
    at = pattern.lastIndex;
    return found[0];
  };
  const fail = (what: string): never => {
    throw new HeaderSyntaxError(`${what} at character ${at} of the header`);
  };
  const token = (character: string): boolean => {
    match(SPACE);
    if (text[at] !== character) return false;
    at++;
    return true;
  };
  const string = (): string => {
    match(SPACE);
    const quoted = match(STRING) ?? fail('expected a string');
    try {
      return JSON.parse(quoted) as string;
    } catch {
      return fail('a control character in a string');
    }
  };
  const object = (depth: number): Map<string, HeaderValue> => {
    const entries = new Map<string, HeaderValue>();
    if (token('}')) return entries;
    do {
      const key = string();
      if (entries.has(key)) throw new HeaderSyntaxError(`'${key}' is named twice`, key);
      if (!token(':')) fail("expected ':'");
      entries.set(key, value(depth + 1));
    } while (token(','));
    if (!token('}')) fail("expected ',' or '}'");
    return entries;
  };
  const array = (depth: number): HeaderValue[] => {
    const items: HeaderValue[] = [];
    if (token(']')) return items;
    do items.push(value(depth + 1));
    while (token(','));
    if (!token(']')) fail("expected ',' or ']'");
    return items;
  };
  const value = (depth: number): HeaderValue => {
    if (depth > MAX_DEPTH) fail('nested too deeply');
    if (token('{')) return object(depth);
    if (token('[')) return array(depth);
    if (text[at] === '"') return string();
    const digits = match(INTEGER) ?? fail('expected a string, an integer, a list or an object');
    const number = Number(digits);
    return Number.isSafeInteger(number) ? number : fail('an integer beyond 2^53');
  };
  const result = value(0);
  match(SPACE);
  if (at !== text.length) fail('text after the end');
  return result;
}
