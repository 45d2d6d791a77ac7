import { describe, expect, it } from 'vitest';
import type { Tokenizer } from '../../../../gpu-worker/lm/tokenizer/tokenizer.ts';
import { spellingWords } from '../../../../gpu-worker/sae/probes/spelling.ts';

/** Pieces of two characters; a space belongs to what follows it, as in GPT-2. */
const pieces = {
  encode: (text: string) =>
    (text.match(/..?/g) ?? []).map((pair) => pair.charCodeAt(0) * 256 + (pair.charCodeAt(1) || 0)),
} as unknown as Tokenizer;

describe('words to be spelled', () => {
  const given = ['cat', 'tiger', 'ox', 'cat', 'x1', 'elephant'];

  it('are those of few enough tokens, each once, in the shorter of their two spellings', () => {
    const { words, dropped } = spellingWords(pieces, given, 2);
    // ' cat' and 'cat' are two pieces both: as it follows a space it stands in the prompt. 'ox' alone is one.
    expect(words).toEqual([
      { word: 'cat', tokens: pieces.encode(' cat') },
      { word: 'ox', tokens: pieces.encode('ox') },
    ]);
    expect(dropped).toBe(4);
  });

  it('are single tokens unless more are asked for', () => {
    expect(spellingWords(pieces, given).words.map(({ word }) => word)).toEqual(['ox']);
    expect(spellingWords(pieces, given, 5).words.map(({ word }) => word)).toEqual(['cat', 'tiger', 'ox', 'elephant']);
  });
});
