/** The tokenizer that a GGUF file carries, as the publishers' `tokenizer.json` and `tokenizer_config.json`. */
import { SextantError } from '../../../../shared/contracts/problem.ts';
import type { GgufHeader, MetadataValue } from './header.ts';

/** Kinds of token, by ggml's number. */
const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;
const USER = 4;

type GgufTokenizer = { json: unknown; config: Record<string, unknown>; notice: string | null };

type Vocabulary = { tokens: readonly string[]; kinds: ArrayLike<number>; scores: ArrayLike<number> };

const invalid = (message: string) => new SextantError('tokenizer_mismatch', `GGUF: ${message}`);
const BYTE_PATTERNS: Readonly<Record<string, string>> = {
  'gpt-2': "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
  'llama-bpe':
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  qwen2:
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
};
const SAME_PATTERN: Readonly<Record<string, string>> = {
  llama3: 'llama-bpe',
  'llama-v3': 'llama-bpe',
  llama4: 'llama-bpe',
  'deepseek-r1-qwen': 'qwen2',
  default: 'gpt-2',
  gpt2: 'gpt-2',
};

/** The tokenizer, or null where the file has no vocabulary. @throws SextantError `tokenizer_mismatch` */
export function ggufTokenizer({ metadata }: GgufHeader): GgufTokenizer | null {
  const get = (name: string) => metadata.get(`tokenizer.ggml.${name}`);
  const tokens = get('tokens');
  const kind = get('model');
  if (!Array.isArray(tokens) || kind === undefined) {
    return null;
  }
  if (!tokens.every((token) => typeof token === 'string')) {
    throw invalid('the vocabulary must be texts');
  }
  const vocabulary: Vocabulary = {
    tokens: tokens as string[],
    kinds: numbers(get('token_type'), tokens.length, NORMAL),
    scores: numbers(get('scores'), tokens.length, 0),
  };
  const special = (name: string): string | null => {
    const id = get(`${name}_token_id`);
    return typeof id === 'number' ? (vocabulary.tokens[id] ?? null) : null;
  };
  const [bos, eos, pad] = [special('bos'), special('eos'), special('padding')];
  const unknown = special('unknown') ?? vocabulary.tokens.find((_, id) => vocabulary.kinds[id] === UNKNOWN) ?? null;
  if (kind !== 'llama' && kind !== 'gpt2') {
    return {
      json: null,
      config: {},
      notice: `its tokenizer '${String(kind).slice(0, 40)}' is not read: no text can be`,
    };
  }
  const pieces = kind === 'llama';
  const flag = (name: string, fallback: boolean) =>
    typeof get(name) === 'boolean' ? (get(name) as boolean) : fallback;
  const pre = String(get('pre') ?? 'default');
  const pattern = SAME_PATTERN[pre] ?? pre;
  const json = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens(vocabulary),
    ...(pieces
      ? pieceParts(flag('add_space_prefix', true))
      : byteParts(BYTE_PATTERNS[pattern] ?? BYTE_PATTERNS['gpt-2']!)),
    post_processor: template(
      vocabulary,
      flag('add_bos_token', pieces) ? bos : null,
      flag('add_eos_token', false) ? eos : null,
    ),
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: pieces ? unknown : null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: pieces,
      byte_fallback: pieces,
      ignore_merges: pattern === 'llama-bpe',
      vocab: Object.fromEntries(vocabulary.tokens.map((token, id) => [token, id])),
      merges: pieces ? mergesOfScores(vocabulary) : mergesOf(get('merges')),
    },
  };
  const template_ = metadata.get('tokenizer.chat_template');
  return {
    json,
    config: {
      tokenizer_class: 'PreTrainedTokenizerFast',
      ...(bos !== null && { bos_token: bos }),
      ...(eos !== null && { eos_token: eos }),
      ...(pad !== null && { pad_token: pad }),
      ...(unknown !== null && { unk_token: unknown }),
      clean_up_tokenization_spaces: false,
      ...(typeof template_ === 'string' && { chat_template: template_ }),
    },
    notice:
      pieces || BYTE_PATTERNS[pattern]
        ? null
        : `its way to cut text into words, '${pre.slice(0, 40)}', is not known: GPT-2's is taken`,
  };
}

function numbers(value: MetadataValue | undefined, count: number, fallback: number): ArrayLike<number> {
  if (value === undefined) {
    return new Float32Array(count).fill(fallback);
  }
  if (typeof value === 'object' && value.length === count) {
    return value as ArrayLike<number>;
  }
  throw invalid(`the vocabulary has ${count} tokens, but another number of scores or kinds`);
}

const addedTokens = ({ tokens, kinds }: Vocabulary) =>
  tokens
    .map((content, id) => ({ content, id, kind: kinds[id] }))
    .filter(({ kind }) => kind === UNKNOWN || kind === CONTROL || kind === USER)
    .map(({ content, id, kind }) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: kind !== USER,
    }));

/** SentencePiece: spaces are a letter of their own, and unknown letters become bytes. */
const pieceParts = (spacePrefix: boolean) => ({
  normalizer: {
    type: 'Sequence',
    normalizers: [
      ...(spacePrefix ? [{ type: 'Prepend', prepend: '▁' }] : []),
      { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    ],
  },
  pre_tokenizer: null,
  decoder: {
    type: 'Sequence',
    decoders: [
      { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
      ...(spacePrefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
    ],
  },
});

/** Byte-level BPE over the words that a pattern finds. */
const byteParts = (pattern: string) => ({
  normalizer: null,
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
      { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  },
  decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
});

function template({ tokens }: Vocabulary, bos: string | null, eos: string | null) {
  if (bos === null && eos === null) {
    return null;
  }
  const part = (id: string | null, type_id: number) => (id === null ? [] : [{ SpecialToken: { id, type_id } }]);
  const line = (id: string, type: number) => [
    ...part(bos, type),
    { Sequence: { id, type_id: type } },
    ...part(eos, type),
  ];
  const named = [bos, eos].filter((token) => token !== null);
  return {
    type: 'TemplateProcessing',
    single: line('A', 0),
    pair: [...line('A', 0), ...line('B', 1)],
    special_tokens: Object.fromEntries(named.map((id) => [id, { id, ids: [tokens.indexOf(id)], tokens: [id] }])),
  };
}

/** SentencePiece joins the two neighbours whose union scores best: as BPE merges, all unions by falling score. */
function mergesOfScores({ tokens, kinds, scores }: Vocabulary): [string, string][] {
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const found: { pair: [string, string]; score: number }[] = [];
  for (const [id, token] of tokens.entries()) {
    if (kinds[id] !== NORMAL) {
      continue;
    }
    const letters = [...token];
    const pairs: { pair: [string, string]; left: number; right: number }[] = [];
    for (let cut = 1; cut < letters.length; cut++) {
      const pair: [string, string] = [letters.slice(0, cut).join(''), letters.slice(cut).join('')];
      const [left, right] = [ids.get(pair[0]), ids.get(pair[1])];
      if (left !== undefined && right !== undefined) {
        pairs.push({ pair, left, right });
      }
    }
    pairs.sort((a, b) => a.left - b.left || a.right - b.right);
    for (const { pair } of pairs) {
      found.push({ pair, score: scores[id]! });
    }
  }
  return found.sort((a, b) => b.score - a.score).map(({ pair }) => pair);
}

function mergesOf(value: MetadataValue | undefined): [string, string][] {
  if (!Array.isArray(value)) {
    throw invalid('a vocabulary of bytes needs its list of merges');
  }
  return value.map((merge) => {
    const text = String(merge);
    const cut = text.indexOf(' ', 1);
    if (cut < 1 || cut === text.length - 1) {
      throw invalid(`'${text.slice(0, 40)}' is not a merge`);
    }
    return [text.slice(0, cut), text.slice(cut + 1)];
  });
}
