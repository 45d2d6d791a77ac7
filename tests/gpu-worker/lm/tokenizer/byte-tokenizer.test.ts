import { describe, expect, it } from 'vitest';
import { byteTokenizer } from '../../../../gpu-worker/lm/tokenizer/byte-tokenizer.ts';
import { makeTokenizer } from '../../../../gpu-worker/lm/tokenizer/tokenizer.ts';

describe('the byte tokenizer', () => {
  const { json, config } = byteTokenizer();
  const tokenizer = makeTokenizer(json, config);

  it.each(['plain words, two  spaces', ' leading\n\n\ttabs \r\n', 'né 🙂 日本語 \u0000 \u00ad \u0302', "it 's", ''])(
    'spells %j by its bytes and reads it back',
    (text) => {
      const ids = tokenizer.encode(text);
      expect(ids).toEqual([0, ...[...new TextEncoder().encode(text)].map((byte) => 2 + byte)]);
      expect(tokenizer.decode(ids)).toBe(text);
    },
  );

  it('has an id for every byte and knows its special tokens', () => {
    expect(tokenizer).toMatchObject({ size: 258, bos: 0, eos: 1, special: new Set([0, 1]) });
  });
});
