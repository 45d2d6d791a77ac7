/** Corpora that params refer to, opened for a handler: text in passages and in training sequences, with a digest. */
import { stat } from 'node:fs/promises';
import type { Corpus } from '../../../shared/contracts/corpus.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { TextAccount, TextSplit } from '../../../shared/contracts/text-use.ts';
import { canonicalJson, sha256Hex } from '../../../shared/signing/digest.ts';
import {
  type Axis,
  type CorpusFile,
  type CorpusPosition,
  type Document,
  type DocumentSource,
  fileDocuments,
  generate,
  HEADER,
  isSigned,
  LanguageModel,
  type Passage,
  PassageReading,
  type Place,
  PlantedLanguage,
  type ReadingOptions,
  surveyFile,
  type Tokenizer,
} from '../../lm/index.ts';
import type { JobContext } from '../handler.ts';
import { requireTokenizer } from './tokens.ts';

export type Split = 'train' | 'held-out';

/** Sequence `sequence` of a split of a language whose axes are known. */
type KnownAxes = {
  axes: readonly { name: string; signed: boolean }[];
  states(split: Split, sequence: number): ArrayLike<number>;
  /** Position in a sequence from which the text depends on the states. */
  from: number;
};

/** What a corpus has to know of the model that reads it; the model itself may not exist yet. */
export type TextReader = { tokenizer: Tokenizer | null; architecture: { vocabulary: number } };

type LeaveOut = ReadingOptions['leaveOut'];
/**
 * How a text is used: as the rows that its tokens become, where special ones are none, or as predictions, where the
 * first token of a passage is none.
 */
type TextUse = Omit<ReadingOptions, 'leaveOut'> & { as: 'rows' | 'predictions' };

type OpenedCorpus = {
  /** Digest of what the text is made from. */
  digest: string;
  /** One pass, from where another with this use stood; the generated language and samples never end. */
  read(use: TextUse, from?: CorpusPosition): PassageReading;
  /** One pass in sequences to train on, laid end to end: all of `length` tokens unless the text has fewer. */
  sequences(split: Split, length: number): AsyncIterable<Int32Array>;
  /**
   * What of the text those sequences hold, once as many tokens as `limit` were read from them; null for text without end.
   * @param as what a token is used as
   */
  account(of: { side: Split; length: number; limit: number; as: TextUse['as'] }): Promise<TextAccount | null>;
  /** The first sequences of exactly `length` tokens, `most` at most, with the account of all of the text. */
  whole(side: Split, length: number, most: number): Promise<{ sequences: Int32Array[]; text: TextAccount }>;
  axes: KnownAxes | null;
  /** Whether the two splits share no text; a single document serves both. */
  unseen: boolean;
};

/** Bytes of a file up to which the tokens are counted that nobody reads. */
const COUNTABLE_BYTES = 2 ** 24;
/** Documents of a finite corpus that are kept for evaluation: every tenth. */
const HELD_OUT = 10;
const SAMPLE_ROWS = 64;

/** Tokens that go through a model at a time. */
const PASS_TOKENS = 4096;

/** Sequences of `length` tokens in one forward pass. */
export const sequencesPerPass = (length: number): number => Math.max(1, Math.floor(PASS_TOKENS / length));

/** Whether a document of a corpus of `count` is in the split; a single one is in both. */
export const belongs = (document: number, split: Split, count: number): boolean =>
  count === 1 || (document % Math.min(HELD_OUT, count) === 0) === (split === 'held-out');

/** @throws SextantError `data_invalid`, `input_not_found` */
export async function openCorpus(
  context: Pick<JobContext<unknown>, 'configuration' | 'input'>,
  corpus: Corpus,
  model: TextReader,
  modelDigest: string | null,
): Promise<OpenedCorpus> {
  if ('planted' in corpus) {
    return planted(corpus.planted.seed, model);
  }
  if ('sampled' in corpus) {
    if (!(model instanceof LanguageModel) || modelDigest === null) {
      throw new SextantError('data_invalid', 'a model that is still to be made has no samples to learn from');
    }
    return sampled(corpus.sampled, model, modelDigest);
  }
  if ('texts' in corpus) {
    return fromTexts(corpus.texts, await sha256Hex(canonicalJson(corpus.texts)), model);
  }
  return fromFile(await corpusFile(context, corpus), model);
}

/** The file of a corpus that is one. @throws SextantError `data_invalid`, `input_not_found` */
export async function corpusFile(
  context: Pick<JobContext<unknown>, 'configuration' | 'input'>,
  corpus: Extract<Corpus, { local: string } | { artefact: string }>,
): Promise<CorpusFile> {
  if ('local' in corpus) {
    const path = context.configuration.corpora[corpus.local];
    if (!path) {
      throw new SextantError('data_invalid', `this worker has no corpus alias '${corpus.local}'`);
    }
    return { path, format: path.endsWith('.jsonl') ? 'jsonl' : 'text', field: 'text' };
  }
  const input = context.input(corpus.artefact);
  const blob = input.blobs[0];
  if (!blob) {
    throw new SextantError('input_not_found', `the artefact ${corpus.artefact} has no bytes`);
  }
  return { path: await input.file(blob.name), format: corpus.format, field: corpus.field };
}

async function planted(seed: number, model: TextReader): Promise<OpenedCorpus> {
  const language = new PlantedLanguage(seed);
  if (model.architecture.vocabulary < language.vocabulary.length) {
    throw new SextantError(
      'data_invalid',
      `the generated language has ${language.vocabulary.length} words, the model ${model.architecture.vocabulary}`,
    );
  }
  const digest = await sha256Hex(canonicalJson({ planted: { seed }, vocabulary: language.vocabulary }));
  const axes = language.axes.map((axis: Axis) => ({ name: axis.name, signed: isSigned(axis) }));
  const source = (split: Split, length: number): DocumentSource =>
    endless(function* (sequence) {
      for (const { ids } of language.documents(split, length, Number.POSITIVE_INFINITY, sequence)) {
        yield ids;
      }
    });
  return {
    ...opened(model, (split, length) => source(sideOf(split), length)),
    digest,
    axes: { axes, states: (split, sequence) => language.document(split, sequence, HEADER).states, from: HEADER },
    unseen: true,
  };
}

async function sampled(
  { seed, temperature }: { seed: number; temperature: number },
  model: LanguageModel,
  modelDigest: string,
): Promise<OpenedCorpus> {
  const start = model.tokenizer?.bos ?? model.tokenizer?.eos;
  if (start === undefined || start === null) {
    throw new SextantError('data_invalid', 'the model has no beginning-of-sequence token to sample from');
  }
  const source = (split: Split, length: number): DocumentSource =>
    endless(async function* (sequence) {
      const first = Math.floor(sequence / SAMPLE_ROWS);
      for (let round = first; ; round += 1) {
        const prompts = Array.from({ length: SAMPLE_ROWS }, () => [start]);
        const number = 2 * round + (split === 'train' ? 0 : 1);
        const options = {
          maxTokens: length - 1,
          temperature,
          seed: (seed + 1000003 * number) % Number.MAX_SAFE_INTEGER,
        };
        for (const [row, { tokens }] of (await generate(model, prompts, options)).entries()) {
          if (round > first || row >= sequence % SAMPLE_ROWS) {
            yield [start, ...tokens];
          }
        }
      }
    });
  return {
    ...opened(model, (split, length) => source(sideOf(split), length)),
    digest: await sha256Hex(canonicalJson({ sampled: { seed, temperature }, model: modelDigest })),
    axes: null,
    unseen: true,
  };
}

/** Text without end, of which nothing is trained on the side that is held out. */
const sideOf = (split: TextSplit): Split => (split === 'train' ? 'train' : 'held-out');

const endless = (
  from: (sequence: number) => AsyncIterable<ArrayLike<number>> | Iterable<ArrayLike<number>>,
): DocumentSource => ({
  async *documents({ document }) {
    let number = document;
    for await (const ids of from(document)) {
      yield { document: number, byte: 0, line: ++number, ids: () => ids };
    }
  },
  keep: () => true,
  endless: true,
  countable: true,
});

async function fromFile(file: CorpusFile, model: TextReader): Promise<OpenedCorpus> {
  const { digest, documents: count } = await surveyFile(file);
  const countable = (await stat(file.path)).size <= COUNTABLE_BYTES;
  return finite({ digest, count, countable, documents: (from) => fileDocuments(file, from) }, model);
}

function fromTexts(texts: readonly string[], digest: string, model: TextReader): OpenedCorpus {
  const documents = function* (from: Place) {
    for (let i = from.document; i < texts.length; i++) {
      yield { document: i, byte: 0, line: i + 1, text: texts[i] ?? '' };
    }
  };
  return finite({ digest, count: texts.length, countable: true, documents }, model);
}

type FiniteCorpus = {
  digest: string;
  count: number;
  countable: boolean;
  documents(from: Place): AsyncIterable<Document> | Iterable<Document>;
};

function finite({ digest, count, countable, documents }: FiniteCorpus, model: TextReader): OpenedCorpus {
  const tokenizer = requireTokenizer(model);
  if (count === 0) {
    throw new SextantError('data_invalid', 'the corpus has no documents');
  }
  const source = (split: TextSplit): DocumentSource => ({
    async *documents(from) {
      for await (const { text, ...place } of documents(from)) {
        yield { ...place, ids: () => tokenizer.encode(text) };
      }
    },
    keep: (document) => split === 'all' || belongs(document, sideOf(split), count),
    endless: false,
    countable,
  });
  return { ...opened(model, source), digest, axes: null, unseen: count > 1 };
}

/** An account in which a passage is too short: it and the documents that lie in it alone are left out. */
function withTail(account: TextAccount, { documents, positions, ids }: Passage, leaveOut: LeaveOut): TextAccount {
  const used = [...ids.keys()].filter((i) => leaveOut(ids[i] ?? 0, i) === null);
  const begun = new Set([...documents].filter((_, i) => positions[i] === 0));
  const inside = new Set(used.map((i) => documents[i] ?? 0).filter((document) => begun.has(document))).size;
  const without = <T extends TextAccount['documents'] | TextAccount['tokens']>(counts: T, tail: number): T => ({
    ...counts,
    used: counts.used - tail,
    left_out: tail > 0 ? { ...counts.left_out, tail: (counts.left_out.tail ?? 0) + tail } : counts.left_out,
  });
  return {
    ...account,
    windows: account.windows - 1,
    documents: without(account.documents, inside),
    tokens: without(account.tokens, used.length),
  };
}

function opened(
  { tokenizer }: TextReader,
  source: (split: TextSplit, length: number) => DocumentSource,
): Pick<OpenedCorpus, 'read' | 'sequences' | 'account' | 'whole'> {
  const special = tokenizer?.special ?? new Set<number>();
  const leaving: Record<TextUse['as'], LeaveOut> = {
    rows: (token) => (special.has(token) ? 'special' : null),
    predictions: (_, place) => (place === 0 ? 'first' : null),
  };
  const read: OpenedCorpus['read'] = ({ as, ...use }, from) =>
    new PassageReading(source(use.split, use.length), { ...use, leaveOut: leaving[as] }, from);
  /** A side as it is trained on; text without end comes in documents as long as a sequence. */
  const along = (side: Split, length: number, { as, limit }: Pick<TextUse, 'as' | 'limit'>) => {
    const split = side === 'train' ? 'train' : 'held_out';
    const { endless } = source(split, length);
    return { endless, reading: read({ split, packing: endless ? 'documents' : 'packed', length, limit, as }) };
  };
  const all = { as: 'predictions', limit: Number.POSITIVE_INFINITY } as const;
  return {
    read,
    async account({ side, length, limit, as }) {
      const { endless, reading } = along(side, length, { as, limit });
      if (endless) {
        return null;
      }
      let last: Passage | null = null;
      let windows = 0;
      for await (const passage of reading) {
        last = passage;
        windows++;
      }
      const account = await reading.account();
      const whole = windows < 2 || last?.ids.length === length || account.tokens.used >= limit;
      return whole || !last ? account : withTail(account, last, leaving[as]);
    },
    async whole(side, length, most) {
      const { reading } = along(side, length, all);
      const sequences: Int32Array[] = [];
      const short: Passage[] = [];
      for await (const passage of reading) {
        if (passage.ids.length === length) {
          sequences.push(passage.ids);
        } else {
          short.push(passage);
        }
        if (sequences.length === most) {
          break;
        }
      }
      const account = await reading.account();
      return {
        sequences,
        text: short.reduce((sum, passage) => withTail(sum, passage, leaving.predictions), account),
      };
    },
    async *sequences(side, length) {
      const { endless, reading } = along(side, length, all);
      let first = true;
      for await (const { ids } of reading) {
        // What is left at the end is no sequence to train on, unless it is all there is.
        if (endless || ids.length === length || first) {
          yield ids;
        }
        first = false;
      }
    },
  };
}
