/** What is told of a growing text is the text that it becomes, whatever the tokenizer cuts apart. */
import { expect, it } from 'vitest';
import { TextGrowth } from '../../../../gpu-worker/lm/generation/text-growth.ts';
import { byteTokenizer } from '../../../../gpu-worker/lm/tokenizer/byte-tokenizer.ts';
import { makeTokenizer } from '../../../../gpu-worker/lm/tokenizer/tokenizer.ts';
import { stream } from '../../../../shared/math/random.ts';

const bytes = byteTokenizer();
const tokenizer = makeTokenizer(bytes.json, bytes.config);

/** The text of `tokens` as it is told, piece by piece. */
function told(tokens: readonly number[], prompt: number[], stop: string[] = []) {
  const growth = new TextGrowth(tokenizer, prompt, stop);
  const pieces = tokens.map((token) => growth.push(token));
  const whole = tokenizer.continuation(prompt, tokens);
  const cut = Math.min(whole.length, ...stop.map((part) => whole.indexOf(part)).filter((at) => at >= 0));
  pieces.push(growth.end(whole.slice(0, cut)));
  return { pieces, whole: whole.slice(0, cut) };
}

it('keeps characters whole', () => {
  const text = 'naïve – 漢字 🎈!';
  const { pieces, whole } = told(tokenizer.encode(text, { special: false }), tokenizer.encode('a', { special: false }));
  expect(whole).toBe(text);
  expect(pieces.join('')).toBe(text);
  expect(pieces.every((piece) => !piece.includes('\ufffd'))).toBe(true);
});

it('tells nothing that a stop string would cut off', () => {
  const { pieces, whole } = told(tokenizer.encode('one ENDless END.', { special: false }), [], ['END.', 'less!']);
  expect(whole).toBe('one ENDless ');
  expect(pieces.join('')).toBe(whole);
  expect(pieces.slice(0, 5).join('')).toBe('one ');
  expect(pieces[4]).toBe('');
});

it('adds up to the whole text for random bytes', () => {
  const seed = 5;
  console.log(`seed ${seed}`);
  const random = stream(seed, 'bytes');
  for (let row = 0; row < 30; row++) {
    const tokens = [...random.uniform(40, { start: 40 * row })].map((u) => Math.floor(u * 256));
    const { pieces, whole } = told(tokens.slice(3), tokens.slice(0, 3), ['ab']);
    expect(pieces.join('')).toBe(whole);
  }
});
