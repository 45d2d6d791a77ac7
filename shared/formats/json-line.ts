/** Lines of JSON in files that people send: texts, prompts, pairs. */

/** Escapes of surrogates, and in JSON that was written anew, of those that have no other half. */
const SURROGATE = /\\u[dD][89a-fA-F]/;
const LONE = /(?<!\\)(?:\\\\)*\\ud[89a-f]/;

/** The value of a line, or what is wrong with it, to stand behind "line 3 of ...". */
export function jsonLine(line: string): { value: unknown } | { wrong: string } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { wrong: 'is not JSON' };
  }
  return SURROGATE.test(line) && LONE.test(JSON.stringify(value))
    ? { wrong: 'holds half of a character (a lone surrogate), which is no text' }
    : { value };
}
