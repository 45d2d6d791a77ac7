/** A text that a second attempt tells again goes on where the first one broke off. */
import { expect, it } from 'vitest';
import { GeneratedText } from '../../../edge/jobs/generated-text.ts';
import type { TokenPiece } from '../../../shared/contracts/token-piece.ts';

const piece = (from: number, tokens: number[], text_from: number, text: string, more: Partial<TokenPiece> = {}) => ({
  run: 0,
  prompt: 0,
  from,
  tokens,
  log_probabilities: tokens.map((token) => -token),
  token_texts: null,
  alternatives: null,
  text_from,
  text,
  finish: null,
  ...more,
});

it('leaves out what was told, in whatever pieces it comes again', () => {
  const told = [piece(0, [1, 2], 0, 'ab'), piece(2, [3], 2, '')];
  const text = new GeneratedText(told);
  expect(text.add(piece(0, [1], 0, 'a'))).toBeNull();
  expect(text.add(piece(1, [2, 3, 4], 1, 'bcd'))).toEqual(piece(3, [4], 2, 'cd'));
  expect(text.add(piece(4, [], 4, '', { finish: 'length' }))).toMatchObject({ tokens: [], text: '', finish: 'length' });
  expect(text.add(piece(0, [1, 2, 3, 4], 0, 'abcd', { finish: 'length' }))).toBeNull();
});

it('keeps the texts of runs and prompts apart', () => {
  const text = new GeneratedText([piece(0, [1], 0, 'a')]);
  expect(text.add(piece(0, [9], 0, 'z', { run: 1 }))).toMatchObject({ tokens: [9], text: 'z' });
  expect(text.add(piece(0, [8], 0, 'y', { prompt: 1 }))).toMatchObject({ tokens: [8] });
});

it('refuses another text than was told, and a gap', () => {
  const text = new GeneratedText([piece(0, [1, 2], 0, 'ab')]);
  expect(() => text.add(piece(0, [1, 7], 0, 'ab'))).toThrow(/another text/);
  expect(() => text.add(piece(0, [1, 2, 3], 0, 'aXc'))).toThrow(/another text/);
  expect(() => text.add(piece(3, [4], 2, 'd'))).toThrow(/have not arrived/);
});
