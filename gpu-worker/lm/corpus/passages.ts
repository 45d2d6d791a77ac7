/**
 * A corpus as the passages that go through a model one by one, with where each token is from and an account of all the
 * text that was sent. A reading can say where it stands, and another goes on from there on another machine.
 */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { LeftOut, Packing, TextAccount, TextSplit } from '../../../shared/contracts/text-use.ts';
import { BEGINNING, type Place } from './corpus-file.ts';
import { TextTally } from './text-tally.ts';

/** Small whole numbers of a reading's own. */
export type CorpusPosition = Readonly<Record<string, number>>;

/** What a model reads in one go, with nothing before it. */
export type Passage = {
  ids: Int32Array;
  /** Of each token: the number of its document, and its place among the document's tokens, both from 0. */
  documents: Int32Array;
  positions: Int32Array;
  /** Where the passage behind this one begins. */
  next: CorpusPosition;
};

/** A document, whose tokens are made only where they are needed. */
type TokenDocument = Place & { ids(): ArrayLike<number> };

/** Text in documents. */
export type DocumentSource = {
  documents(from: Place): AsyncIterable<TokenDocument> | Iterable<TokenDocument>;
  /** Whether a document is on the side that is read. */
  keep(document: number): boolean;
  /** Text without end has no rest to be counted. */
  endless: boolean;
  /** Whether it is small enough that the tokens of documents which are not read are counted too. */
  countable: boolean;
};

export type ReadingOptions = {
  split: TextSplit;
  packing: Packing;
  /** Most tokens of a passage. */
  length: number;
  /** Used tokens after which reading ends. */
  limit: number;
  /** Why the token at a place of its passage is not used; null where it is. */
  leaveOut(token: number, place: number): LeftOut | null;
  /** The passages that are given, by their numbers; the others are another part's. All where left out. */
  within?: { from: number; to: number };
};

export class PassageReading implements AsyncIterable<Passage> {
  readonly #source: DocumentSource;
  readonly #options: ReadingOptions;
  readonly #tally: TextTally;
  #passages: number;
  /** The document that is read, whether it was begun, and how many of its tokens were given. */
  #place: Place;
  #begun: boolean;
  #token: number;

  /** @param position where another reading with these options stood */
  constructor(source: DocumentSource, options: ReadingOptions, position: CorpusPosition = {}) {
    if (!(Number.isInteger(options.length) && options.length > 0)) {
      throw new SextantError('data_invalid', `passages of ${options.length} tokens`);
    }
    this.#source = source;
    this.#options = options;
    this.#tally = new TextTally(position);
    this.#passages = position.passages ?? 0;
    const { document, byte, line } = BEGINNING;
    this.#place = {
      document: position.document ?? document,
      byte: position.byte ?? byte,
      line: position.line ?? line,
    };
    this.#begun = position.begun === 1;
    this.#token = position.token ?? 0;
  }

  /** Where the passage after the last one given begins. */
  get position(): CorpusPosition {
    const { numbers } = this.#tally;
    return { ...this.#place, begun: this.#begun ? 1 : 0, token: this.#token, passages: this.#passages, ...numbers };
  }

  get #full(): boolean {
    return this.#tally.tokensTaken >= this.#options.limit;
  }

  /** Passages that were given. */
  get #windows(): number {
    const { from, to } = this.#options.within ?? { from: 0, to: this.#passages };
    return Math.max(0, Math.min(this.#passages, to) - from);
  }

  /** Whether the passage that is filled at present is given. */
  get #own(): boolean {
    const { within } = this.#options;
    return !within || (this.#passages >= within.from && this.#passages < within.to);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Passage, void, void> {
    const { packing, length } = this.#options;
    let room = new PassageRoom(length);
    const give = function* (this: PassageReading): Generator<Passage> {
      const given = room.tokens;
      const own = this.#own;
      room = new PassageRoom(length);
      this.#passages++;
      if (own) {
        yield { ...given, next: this.position };
      }
    }.bind(this);
    for await (const document of this.#full ? [] : this.#source.documents(this.#place)) {
      const ids = this.#begin(document);
      while (this.#token < ids.length) {
        const id = ids[this.#token] ?? 0;
        const reason = this.#options.leaveOut(id, room.size) ?? (this.#own ? null : 'part');
        room.add(id, document.document, this.#token++);
        this.#tally.token(reason);
        const ended = this.#token === ids.length;
        if (ended) {
          this.#tally.end(reason ?? 'limit');
        }
        if (room.size === length || this.#full || (ended && packing === 'documents')) {
          yield* give();
        }
        if (this.#full) {
          return;
        }
      }
    }
    if (room.size > 0) {
      yield* give();
    }
  }

  /** What was read so far; the text behind it is counted as beyond the limit. */
  async account(): Promise<TextAccount> {
    const { split, packing, length } = this.#options;
    const { endless, countable, keep } = this.#source;
    const tally = new TextTally(this.#tally.numbers);
    let unseen = 0;
    for await (const document of endless ? [] : this.#source.documents(this.#place)) {
      const kept = keep(document.document);
      if (this.#begun && document.document === this.#place.document) {
        const rest = kept ? document.ids().length - this.#token : 0;
        if (rest > 0) {
          tally.leaveOut('limit', rest);
        }
        continue;
      }
      const size = countable ? document.ids().length : null;
      unseen += size === null ? 1 : 0;
      tally.leaveOut(kept ? (size === 0 ? 'empty' : 'limit') : 'split', size ?? 0);
    }
    const { documents, tokens } = tally.account();
    const counted = countable || endless || unseen + (documents.left_out.split ?? 0) === 0;
    const sent = counted ? tokens.sent : null;
    return { split, packing, window: length, windows: this.#windows, documents, tokens: { ...tokens, sent } };
  }

  /** The tokens of a document that is still to be given; none of one on the other side of the split. */
  #begin(document: TokenDocument): ArrayLike<number> {
    const { document: number, byte, line } = document;
    const kept = this.#source.keep(number);
    if (this.#begun && number === this.#place.document) {
      return kept ? document.ids() : [];
    }
    this.#place = { document: number, byte, line };
    this.#begun = true;
    this.#token = 0;
    if (!kept) {
      this.#tally.leaveOut('split', this.#source.countable ? document.ids().length : 0);
      return [];
    }
    const ids = document.ids();
    if (ids.length === 0) {
      this.#tally.leaveOut('empty', 0);
    }
    return ids;
  }
}

/** A passage in the making. */
class PassageRoom {
  size = 0;
  readonly #ids: Int32Array;
  readonly #documents: Int32Array;
  readonly #positions: Int32Array;

  constructor(length: number) {
    this.#ids = new Int32Array(length);
    this.#documents = new Int32Array(length);
    this.#positions = new Int32Array(length);
  }

  add(id: number, document: number, position: number): void {
    this.#ids[this.size] = id;
    this.#documents[this.size] = document;
    this.#positions[this.size] = position;
    this.size++;
  }

  get tokens(): Omit<Passage, 'next'> {
    const [ids, documents, positions] = [this.#ids, this.#documents, this.#positions].map((all) =>
      all.subarray(0, this.size),
    ) as [Int32Array, Int32Array, Int32Array];
    return { ids, documents, positions };
  }
}
