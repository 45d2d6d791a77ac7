/** One pass over a corpus that can say where it stands, and start again from there on another machine. */

import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { BEGINNING, type Document, type Place } from './corpus-file.ts';
import { packed, tokenised } from './sequences.ts';

/** Small whole numbers whose names each kind of corpus knows; those it misses are taken as the beginning. */
export type CorpusPosition = Readonly<Record<string, number>>;

export type Reading = AsyncIterable<ArrayLike<number>> & {
  /** Where the sequence after the last one given begins. */
  readonly position: CorpusPosition;
};

type SequencesFrom = (sequence: number) => AsyncIterable<ArrayLike<number>> | Iterable<ArrayLike<number>>;

/** Sequences that can be made from any number on. */
export class NumberedReading implements Reading {
  #next: number;
  readonly #from: SequencesFrom;

  constructor(from: SequencesFrom, position: CorpusPosition | undefined) {
    this.#from = from;
    this.#next = position?.sequence ?? 0;
  }

  get position(): CorpusPosition {
    return { sequence: this.#next };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ArrayLike<number>> {
    for await (const sequence of this.#from(this.#next)) {
      this.#next += 1;
      yield sequence;
    }
  }
}

/**
 * Documents laid end to end and cut into sequences. A sequence ends inside or at the end of the document read last, so
 * the document and the number of its tokens already used say all about where the next one begins.
 */
export class PackedReading implements Reading {
  #place: Place;
  #token: number;
  readonly #of: PackedDocuments;

  constructor(of: PackedDocuments, position: CorpusPosition | undefined) {
    this.#of = of;
    this.#place = {
      document: position?.document ?? BEGINNING.document,
      byte: position?.byte ?? BEGINNING.byte,
      line: position?.line ?? BEGINNING.line,
    };
    this.#token = position?.token ?? 0;
  }

  get position(): CorpusPosition {
    return { ...this.#place, token: this.#token };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Int32Array> {
    const { documents, keep, tokenizer, length } = this.#of;
    const resumed = this.#token > 0 || this.#place.document > 0;
    let skip = this.#token;
    /** Tokens given out and tokens read, both counted from where this pass began. */
    let given = 0;
    let before = 0;
    let read = 0;
    let place = this.#place;
    const pieces = async function* (): AsyncGenerator<number[]> {
      for await (const { text, ...at } of documents(place)) {
        if (!keep(at.document)) {
          continue;
        }
        for await (const ids of tokenised([text], tokenizer)) {
          place = at;
          before = read - skip;
          read += ids.length - skip;
          yield skip > 0 ? ids.slice(skip) : ids;
          skip = 0;
        }
      }
    };
    for await (const sequence of packed(pieces(), { length, remainder: !resumed })) {
      given += sequence.length;
      this.#place = place;
      this.#token = given - before;
      yield sequence;
    }
  }
}

export type PackedDocuments = {
  documents(from: Place): AsyncIterable<Document> | Iterable<Document>;
  /** Whether the document of this number belongs to the split. */
  keep(document: number): boolean;
  tokenizer: Tokenizer;
  /** Tokens per sequence. */
  length: number;
};
