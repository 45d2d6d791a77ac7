/**
 * Steps of a publisher's tokenizer that the library splits otherwise than the publishers' own: by digits, letters and
 * punctuation of ASCII alone, in runs, or at the white space of another language. They are written as splits by a pattern, which it takes as they are meant.
 */

type Step = Readonly<Record<string, unknown>>;

/** What counts as numeric: decimal digits of all scripts, and numbers such as fractions and Roman numerals. */
const NUMERIC = '\\p{N}';
const PUNCTUATION = '[\\p{P}!-/:-@\\[-`{-~]';
/** Inside a class; another pattern language counts numbers such as \u00b2 among the words too. */
const WORD = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}';
const split = (pattern: string, behavior: string, invert = false): Step => ({
  type: 'Split',
  pattern: { Regex: pattern },
  behavior,
  invert,
});

/** White space as Unicode and the publishers' library have it: this language counts U+FEFF, which is none, and not U+0085. */
const SPACES = '\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

/** A pattern with the publishers' white space; a class that holds `\\S` is left as it is. */
function withSpaces(pattern: string): string {
  let inClass = false;
  return pattern.replace(/\\.|[[\]]/gs, (part) => {
    if (part === '[' || part === ']') {
      inClass = part === '[';
      return part;
    }
    if (part === '\\s') {
      return inClass ? SPACES : `[${SPACES}]`;
    }
    return part === '\\S' && !inClass ? `[^${SPACES}]` : part;
  });
}

/** The pattern of a byte-level step that names none. */
const BYTE_LEVEL = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** A space before what begins with none; the library knows this step, the publishers' has none of the kind. */
const SPACE_FIRST: Step = { type: 'Replace', pattern: { Regex: '(?<![\\s\\S])(?=[^ ])' }, content: ' ' };

/** A pre-tokenizer of `tokenizer.json`, with such steps replaced. */
export function withPatterns(step: unknown): unknown {
  if (typeof step !== 'object' || step === null) {
    return step;
  }
  const of = step as Step;
  switch (of.type) {
    case 'Sequence':
      return { ...of, pretokenizers: Array.isArray(of.pretokenizers) ? of.pretokenizers.map(withPatterns) : [] };
    case 'Split': {
      const regex = (of.pattern as { Regex?: unknown } | undefined)?.Regex;
      return typeof regex === 'string' ? { ...of, pattern: { Regex: withSpaces(regex) } } : of;
    }
    case 'ByteLevel':
      if (of.use_regex === false) {
        return of;
      }
      return {
        type: 'Sequence',
        pretokenizers: [
          // A space put first is a part of what is split.
          ...(of.add_prefix_space === true ? [SPACE_FIRST] : []),
          split(withSpaces(BYTE_LEVEL), 'Isolated'),
          { ...of, add_prefix_space: false, use_regex: false },
        ],
      };
    case 'Digits':
      return split(of.individual_digits === true ? NUMERIC : `${NUMERIC}+`, 'Isolated');
    case 'Whitespace':
      return split(withSpaces(`[${WORD}]+|[^${WORD}\\s]+`), 'Removed', true);
    case 'Punctuation':
      return of.behavior === undefined || of.behavior === 'Isolated'
        ? split(PUNCTUATION, 'Isolated')
        : of.behavior === 'Contiguous'
          ? split(`${PUNCTUATION}+`, 'Isolated')
          : of;
    default:
      return of;
  }
}
