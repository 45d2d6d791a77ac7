/** Tokenizers of published models (`tokenizer.json`), by library, with the checks that tie them to a model. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { readJson } from '../weights/stored-tensors.ts';
import { decodeByteRuns } from './byte-fallback.ts';
import { withPatterns } from './pre-tokenizers.ts';

export type Tokenizer = {
  /** Ids of a text; `special` adds what the tokenizer's template adds (a BOS token, say). Default true. */
  encode(text: string, options?: { special?: boolean }): number[];
  /** The text of ids; special tokens are left out unless asked for. */
  decode(ids: readonly number[], options?: { special?: boolean }): string;
  /** The text that `ids` add to the text of the ids before them, the first space included. */
  continuation(before: readonly number[], ids: readonly number[]): string;
  /** One more than the largest id. */
  size: number;
  bos: number | null;
  eos: number | null;
  pad: number | null;
  /** Ids of all special tokens. */
  special: ReadonlySet<number>;
  /** Texts of the tokens that begin with a space which decoding takes where they stand first (SentencePiece). */
  spaced: ReadonlyMap<number, string>;
  /** Jinja source of the chat template, where there is one. */
  chatTemplate: string | null;
  /** The texts of the named special tokens, for chat templates. */
  names: Readonly<Record<string, string>>;
};

const SENTENCEPIECE_SPACE = '\u2581';
/** Tokens before a continuation that are decoded with it: more than the bytes of a character. */
const CONTEXT_TOKENS = 8;

type TokenName = string | { content?: string } | null | undefined;
const textOf = (token: TokenName): string | null => (typeof token === 'string' ? token : (token?.content ?? null));

/** A tokenizer from the parsed `tokenizer.json` and `tokenizer_config.json`. @throws SextantError `tokenizer_mismatch` */
export function makeTokenizer(json: unknown, config: unknown = {}): Tokenizer {
  const settings = config as Record<string, TokenName | unknown>;
  let library: LibraryTokenizer;
  try {
    const document = json as Record<string, unknown>;
    library = new LibraryTokenizer({ ...document, pre_tokenizer: withPatterns(document.pre_tokenizer) }, settings);
    decodeByteRuns(library.decoder);
  } catch (error) {
    throw new SextantError('tokenizer_mismatch', `tokenizer.json cannot be used: ${(error as Error).message}`);
  }
  const names: Record<string, string> = {};
  for (const name of ['bos_token', 'eos_token', 'pad_token', 'unk_token']) {
    const text = textOf(settings[name] as TokenName);
    if (text !== null) {
      names[name] = text;
    }
  }
  const idOf = (name: string) => (names[name] === undefined ? null : (library.token_to_id(names[name]) ?? null));
  let size = 0;
  const spaced = new Map<number, string>();
  for (const [piece, id] of library.get_vocab(true)) {
    size = Math.max(size, id + 1);
    if (piece.startsWith(SENTENCEPIECE_SPACE)) {
      spaced.set(id, piece.replaceAll(SENTENCEPIECE_SPACE, ' '));
    }
  }
  const tidy = tidies(json, settings);
  const special = new Set<number>();
  for (const [id, token] of library.get_added_tokens_decoder()) {
    if (token.special) {
      special.add(id);
    }
  }
  // The library refuses an empty list, whose text is plain.
  const decode: Tokenizer['decode'] = (ids, options) =>
    ids.length === 0
      ? ''
      : library.decode([...ids], {
          skip_special_tokens: !(options?.special ?? false),
          clean_up_tokenization_spaces: tidy,
        });
  return {
    encode: (text, options) => library.encode(text, { add_special_tokens: options?.special ?? true }).ids,
    decode,
    continuation(before, ids) {
      // Only the beginning of a text loses a space, so that a few tokens before tell.
      const near = before.slice(-CONTEXT_TOKENS);
      const [begin, whole] = [decode(near), decode([...near, ...ids])];
      return whole.startsWith(begin) ? whole.slice(begin.length) : decode(ids);
    },
    size,
    bos: idOf('bos_token'),
    eos: idOf('eos_token'),
    pad: idOf('pad_token'),
    special,
    spaced,
    chatTemplate: templateOf(settings.chat_template),
    names,
  };
}

/**
 * Whether spaces before punctuation are taken out of decoded text. The publishers' library does so for word pieces alone,
 * whatever the config of a byte-pair tokenizer says, unless that insists: the text would be another one.
 */
function tidies(json: unknown, settings: Record<string, unknown>): boolean {
  const { model } = json as { model?: { type?: unknown } };
  const insists = settings.clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output === true;
  return settings.clean_up_tokenization_spaces === true && (model?.type !== 'BPE' || insists);
}

/** The template of a config: one, or the one called 'default' of several. */
function templateOf(value: unknown): string | null {
  if (typeof value === 'string') {
    return value;
  }
  if (!Array.isArray(value)) {
    return null;
  }
  const named = (value as { name?: unknown; template?: unknown }[]).find(({ name }) => name === 'default');
  return typeof named?.template === 'string' ? named.template : null;
}

/** The tokenizer of a model folder; null where it has none. @throws SextantError `tokenizer_mismatch` */
export function readTokenizer(folder: string): Tokenizer | null {
  const path = join(folder, 'tokenizer.json');
  if (!existsSync(path)) {
    return null;
  }
  const config = join(folder, 'tokenizer_config.json');
  const tokenizer = makeTokenizer(readJson(path), existsSync(config) ? readJson(config) : {});
  const template = join(folder, 'chat_template.jinja');
  return existsSync(template) ? { ...tokenizer, chatTemplate: readFileSync(template, 'utf8') } : tokenizer;
}

/**
 * Refuses a tokenizer that can produce ids beyond the model's embedding: it belongs to another model.
 * @throws SextantError `tokenizer_mismatch`
 */
export function requireFit(tokenizer: Tokenizer, vocabulary: number): void {
  if (tokenizer.size > vocabulary) {
    throw new SextantError(
      'tokenizer_mismatch',
      `the tokenizer has ids up to ${tokenizer.size - 1}, the model embeds ids up to ${vocabulary - 1}`,
    );
  }
}
