import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readTokenizer } from '../../../gpu-worker/lm/tokenizer/tokenizer.ts';
import { data, hasData } from '../../support/guide.ts';

const read = (...path: string[]) => readFileSync(data('text', ...path), 'utf8');
/** Texts without the literal name of a special token, which would be that token and not text. */
const texts = () =>
  [
    ...(JSON.parse(read('tinystories', 'tinystories_1000.json')) as string[]).slice(0, 300),
    ...read('tinyshakespeare', 'input.txt').split('\n\n').slice(0, 300),
    ...read('wikitext-2', 'test.txt').split('\n').slice(0, 200),
    'naïve café — 漢字 🙂 "quotes" \t tabs  and   spaces',
  ].filter((text) => !text.includes('<unk>'));

describe.skipIf(!hasData)('published tokenizers', () => {
  it.each([
    ['GPT-2', () => data('tokenizers', 'gpt2'), 50257],
    ['the stories', () => data('models', 'stories260K-hf'), 512],
  ])('of %s give every text back', (_name, folder, size) => {
    const tokenizer = readTokenizer(folder())!;
    expect(tokenizer.size).toBe(size);
    for (const text of texts()) {
      expect(tokenizer.decode(tokenizer.encode(text, { special: false }))).toBe(text);
    }
  });

  it('of GPT-2 gives the published ids', () => {
    expect(readTokenizer(data('tokenizers', 'gpt2'))!.encode('Hello world')).toEqual([15496, 995]);
  });
});
