/**
 * Steps of a publisher's tokenizer that the library splits otherwise than the publishers' own: by digits, letters and
 * punctuation of ASCII alone, or in runs. They are written as splits by a pattern, which it takes as they are meant.
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

/** A pre-tokenizer of `tokenizer.json`, with such steps replaced. */
export function withPatterns(step: unknown): unknown {
  if (typeof step !== 'object' || step === null) {
    return step;
  }
  const of = step as Step;
  switch (of.type) {
    case 'Sequence':
      return { ...of, pretokenizers: Array.isArray(of.pretokenizers) ? of.pretokenizers.map(withPatterns) : [] };
    case 'Digits':
      return split(of.individual_digits === true ? NUMERIC : `${NUMERIC}+`, 'Isolated');
    case 'Whitespace':
      return split(`[${WORD}]+|[^${WORD}\\s]+`, 'Removed', true);
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
