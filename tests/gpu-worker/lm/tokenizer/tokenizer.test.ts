import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadModel } from '../../../../gpu-worker/lm/inference/model.ts';
import { renderChat } from '../../../../gpu-worker/lm/tokenizer/chat.ts';
import { tokenText } from '../../../../gpu-worker/lm/tokenizer/token-text.ts';
import { makeTokenizer, readTokenizer } from '../../../../gpu-worker/lm/tokenizer/tokenizer.ts';
import { TINY, tinyModel } from '../../../support/tiny-model.ts';
import { wordTokenizer } from '../../../support/word-tokenizer.ts';

const { json, config } = wordTokenizer();
const tokenizer = makeTokenizer(json, config);

describe('a tokenizer', () => {
  it('adds and leaves out what is special', () => {
    expect(tokenizer.encode('w5 w7')).toEqual([1, 5, 7]);
    expect(tokenizer.encode('w5 w7', { special: false })).toEqual([5, 7]);
    expect(tokenizer.decode([1, 5, 7])).toBe('w5 w7');
    expect(tokenizer.decode([1, 5], { special: true })).toContain('<s>');
    expect(tokenizer.decode([])).toBe('');
    expect([tokenizer.bos, tokenizer.eos, tokenizer.size]).toEqual([1, null, 61]);
    expect([...tokenizer.special]).toEqual([0, 1]);
  });

  it('shows a token with the spaces it begins with, which decoding takes from the first', () => {
    const pieces = { '<s>': 0, '\u2581the': 1, re: 2, '\u2581\u2581': 3 };
    const of = (type: string) => ({ type, pattern: { String: '\u2581' }, content: ' ' });
    const decoder = { type: 'Sequence', decoders: [of('Replace'), { type: 'Strip', content: ' ', start: 1, stop: 0 }] };
    const model = { type: 'BPE', vocab: pieces, merges: [], unk_token: '<s>' };
    const added_tokens = [{ id: 0, content: '<s>', special: true }];
    const sentencePiece = makeTokenizer({
      model,
      decoder,
      added_tokens,
      normalizer: null,
      pre_tokenizer: null,
      post_processor: null,
    });
    const show = tokenText({ tokenizer: sentencePiece });
    expect([0, 1, 2, 3].map(show)).toEqual(['<s>', ' the', 're', '  ']);
    expect(sentencePiece.decode([1, 2])).toBe('there');
    expect([5, 7].map(tokenText({ tokenizer }))).toEqual(['w5', 'w7']);
  });

  it('of another model is refused', async () => {
    const { folder, remove } = tinyModel(TINY.llama!, { tokenizer: wordTokenizer(60) });
    await expect(loadModel(folder)).rejects.toMatchObject({ code: 'tokenizer_mismatch' });
    remove();
  });

  it('that cannot be read is refused', () => {
    expect(() => makeTokenizer({ model: { type: 'Nonsense' } })).toThrow(
      expect.objectContaining({ code: 'tokenizer_mismatch' }),
    );
  });
});

describe('a chat template', () => {
  const messages = [
    { role: 'user', content: 'w2' },
    { role: 'assistant', content: 'w3' },
  ];
  it('is rendered with the tokenizer’s own special tokens', () => {
    expect(renderChat(tokenizer, messages)).toBe('<s> user w2 assistant w3 assistant');
    expect(renderChat(tokenizer, messages, { addGenerationPrompt: false })).toBe('<s> user w2 assistant w3');
  });

  it('may be one of several, or a file of its own', () => {
    const several = [
      { name: 'tool_use', template: 'tools' },
      { name: 'default', template: "{{ messages[0]['content'] }}" },
    ];
    expect(renderChat(makeTokenizer(json, { ...config, chat_template: several }), messages)).toBe('w2');
    const { folder, remove } = tinyModel(TINY.llama!, { tokenizer: wordTokenizer() });
    writeFileSync(join(folder, 'chat_template.jinja'), "file: {{ messages[1]['content'] }}");
    expect(renderChat(readTokenizer(folder)!, messages)).toBe('file: w3');
    remove();
  });

  it('that is missing or fails is a typed error', () => {
    const none = { ...tokenizer, chatTemplate: null };
    expect(() => renderChat(none, messages)).toThrow(expect.objectContaining({ code: 'tokenizer_mismatch' }));
    const failing = "{{ raise_exception('roles must alternate') }}";
    expect(() => renderChat(tokenizer, messages, { template: failing })).toThrow('roles must alternate');
  });
});

describe('decoding', () => {
  const pieces = ['▁Once', '▁upon', '▁a', '▁ti', 'me', '!', '▁!', '▁', '<s>'];
  const sentencePiece = (settings: Record<string, unknown> = {}, type = 'BPE') =>
    makeTokenizer(
      {
        version: '1.0',
        added_tokens: [{ id: 8, content: '<s>', special: true, normalized: false }],
        normalizer: null,
        pre_tokenizer: null,
        post_processor: null,
        decoder: {
          type: 'Sequence',
          decoders: [
            { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
            { type: 'Fuse' },
            { type: 'Strip', content: ' ', start: 1, stop: 0 },
          ],
        },
        model: {
          type,
          vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
          merges: [],
          unk_token: '<s>',
        },
      },
      { bos_token: '<s>', ...settings },
    );

  it('gives the text that tokens add to a prompt, its first space included', () => {
    const tokenizer = sentencePiece();
    const ids = [8, 0, 1, 2, 3, 4, 6];
    for (let at = 1; at <= ids.length; at++) {
      const [before, after] = [ids.slice(0, at), ids.slice(at)];
      expect(tokenizer.decode(before) + tokenizer.continuation(before, after)).toBe('Once upon a time !');
    }
    expect(tokenizer.continuation([8, 0], [1, 2])).toBe(' upon a');
    expect(tokenizer.continuation([], [1, 2])).toBe('upon a');
  });

  it('reads tokens of single bytes as the publishers’ library (tokenizers 0.23.2) does', () => {
    const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
    const decoder = { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, { type: 'Fuse' }] };
    const vocab = Object.fromEntries([...bytes, 'a'].map((piece, id) => [piece, id]));
    const parts = { normalizer: null, pre_tokenizer: null, post_processor: null, added_tokens: [] };
    const of = (steps: object) =>
      makeTokenizer({ ...parts, decoder: steps, model: { type: 'BPE', vocab, merges: [], byte_fallback: true } });
    const cases: [number[], string][] = [
      [[0xef, 0xbb, 0xbf, 256, 0xef, 0xbb, 0xbf], '\ufeffa\ufeff'],
      [[256, 0xe2, 0x82, 0xac, 0x41], 'a\u20acA'],
      [[0xe2, 0x82, 0x41, 256, 0xe2], '\ufffd\ufffd\ufffda\ufffd'],
    ];
    for (const [ids, text] of cases) {
      expect(of(decoder).decode(ids)).toBe(text);
      expect(of({ type: 'ByteFallback' }).decode(ids)).toBe(text);
    }
  });

  it('keeps the spaces of byte-pair tokenizers whatever their config says, and tidies others', () => {
    const tidy = { clean_up_tokenization_spaces: true };
    const ids = [0, 1, 6];
    expect(sentencePiece(tidy).decode(ids)).toBe('Once upon !');
    expect(sentencePiece(tidy, 'WordLevel').decode(ids)).toBe('Once upon!');
    expect(sentencePiece({}, 'WordLevel').decode(ids)).toBe('Once upon !');
    const insists = { ...tidy, clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output: true };
    expect(sentencePiece(insists).decode(ids)).toBe('Once upon!');
  });
});
