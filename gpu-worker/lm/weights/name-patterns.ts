/** Patterns for the names of weights: `*` stands for any characters. */

/** Matches without going back, whatever the pattern. */
export function globMatches(pattern: string, name: string): boolean {
  const parts = pattern.split('*');
  const [first, last] = [parts[0]!, parts.at(-1)!];
  if (parts.length === 1) {
    return pattern === name;
  }
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) {
    return false;
  }
  let at = first.length;
  const end = name.length - last.length;
  for (const part of parts.slice(1, -1)) {
    const found = name.indexOf(part, at);
    if (found < 0 || found + part.length > end) {
      return false;
    }
    at = found + part.length;
  }
  return true;
}

export const matchesAny = (patterns: readonly (string | RegExp)[], name: string): boolean =>
  patterns.some((pattern) => (typeof pattern === 'string' ? globMatches(pattern, name) : pattern.test(name)));
