/**
 * The project's own tokenizer for any text: one token per byte of UTF-8, after a beginning-of-sequence token for each
 * document. It is written in the publishers' format, so that a model trained with it opens everywhere.
 */
import type { SavedTokenizer } from '../weights/save.ts';
import { tokenizerDocument } from './tokenizer-document.ts';

const SPECIAL = ['<s>', '</s>'];

/** The characters that stand for the bytes 0 to 255 in that format: printable ones for themselves, the others from 256 on. */
function byteCharacters(): string[] {
  const printable = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : 256 + others++));
}

/** Ids: 0 `<s>`, 1 `</s>`, then 2 + byte. */
export function byteTokenizer(): SavedTokenizer {
  const vocab = Object.fromEntries([...SPECIAL, ...byteCharacters()].map((token, id) => [token, id]));
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    json: tokenizerDocument({
      special: SPECIAL,
      pre_tokenizer: byteLevel,
      decoder: byteLevel,
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        vocab,
        merges: [],
      },
    }),
    config: { bos_token: '<s>', eos_token: '</s>', clean_up_tokenization_spaces: false },
  };
}
