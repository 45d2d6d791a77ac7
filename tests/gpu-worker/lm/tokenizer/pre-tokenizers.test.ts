/** Texts of many scripts are split as the publishers' library splits them (its answers: `pre-tokenizers.json`). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeTokenizer } from '../../../../gpu-worker/lm/tokenizer/tokenizer.ts';

type Answers = { texts: string[]; steps: { step: Record<string, unknown>; splits: string[][] }[] };
const { texts, steps } = JSON.parse(readFileSync(join(import.meta.dirname, 'pre-tokenizers.json'), 'utf8')) as Answers;

/** Splits as the words of a vocabulary that knows every expected one. */
function splitsOf(step: Record<string, unknown>, expected: readonly string[][], text: string): string[] {
  const words = ['<unk>', ...new Set(expected.flat())];
  const vocab = Object.fromEntries(words.map((word, id) => [word, id]));
  const parts = { added_tokens: [], normalizer: null, post_processor: null, decoder: null };
  const model = { type: 'WordLevel', vocab, unk_token: '<unk>' };
  const tokenizer = makeTokenizer({ version: '1.0', ...parts, pre_tokenizer: step, model }, { unk_token: '<unk>' });
  return tokenizer.encode(text).map((id) => words[id] ?? '');
}

describe('splitting', () => {
  it.each(steps.map(({ step, splits }) => [JSON.stringify(step), step, splits] as const))(
    'by %s',
    (_name, step, splits) => {
      for (const [i, text] of texts.entries()) {
        expect(splitsOf(step, splits, text)).toEqual(splits[i]);
        const sequence = { type: 'Sequence', pretokenizers: [step] };
        expect(splitsOf(sequence, splits, text)).toEqual(splits[i]);
      }
    },
  );

  // By the publishers' library: a byte order mark is no white space, U+0085 is.
  it.each([
    ['\\s+|[^\\s]+', ['a', ' ', '\ufeffb', '\u0085', 'c']],
    ['\\s+(?!\\S)| ?\\S+|\\s+', ['a', ' \ufeffb', '\u0085', 'c']],
  ])('by white space as the library has it: %s', (Regex, pieces) => {
    const step = { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false };
    expect(splitsOf(step, [pieces], 'a \ufeffb\u0085c')).toEqual(pieces);
  });

  it.each([
    [false, 'a \ufeffb', ['a', '\u0120\u00ef\u00bb\u00bf', 'b']],
    [true, 'a \ufeffb', ['\u0120a', '\u0120\u00ef\u00bb\u00bf', 'b']],
    [true, ' a', ['\u0120a']],
    [true, '\na', ['\u0120', '\u010a', 'a']],
    [true, '\ufeff', ['\u0120\u00ef\u00bb\u00bf']],
  ])('by bytes, a space first: %s, of %j', (add_prefix_space, text, pieces) => {
    const step = { type: 'ByteLevel', add_prefix_space, trim_offsets: true, use_regex: true };
    expect(splitsOf(step, [pieces], text)).toEqual(pieces);
  });
});
