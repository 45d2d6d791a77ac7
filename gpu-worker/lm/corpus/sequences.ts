/** From documents to token sequences: packing to one length, and shuffling over a bounded buffer. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { stream } from '../../../shared/math/random.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

type Stream<T> = AsyncIterable<T> | Iterable<T>;

/** The token ids of each text, with what the tokenizer's template adds. @throws SextantError `data_invalid` if all are empty */
export async function* tokenised(texts: Stream<string>, tokenizer: Tokenizer): AsyncGenerator<number[]> {
  for await (const text of texts) {
    const ids = tokenizer.encode(text);
    if (ids.length > 0) {
      yield ids;
    }
  }
}

/**
 * Documents laid end to end, with `separator` between them where given, cut into sequences of `length` tokens. What is
 * left at the end is dropped, unless there would be no sequence at all and `remainder` allows it: then it is given as it is.
 */
export async function* packed(
  documents: Stream<ArrayLike<number>>,
  { length, separator = null, remainder = true }: { length: number; separator?: number | null; remainder?: boolean },
): AsyncGenerator<Int32Array> {
  if (!(Number.isInteger(length) && length > 0)) {
    throw new SextantError('data_invalid', `sequences of ${length} tokens`);
  }
  let sequence = new Int32Array(length);
  let filled = 0;
  let made = 0;
  const push = function* (ids: ArrayLike<number>): Generator<Int32Array> {
    for (let i = 0; i < ids.length; i++) {
      sequence[filled++] = ids[i]!;
      if (filled < length) {
        continue;
      }
      yield sequence;
      made++;
      sequence = new Int32Array(length);
      filled = 0;
    }
  };
  let first = true;
  for await (const ids of documents) {
    if (!first && separator !== null) {
      yield* push([separator]);
    }
    first = false;
    yield* push(ids);
  }
  if (remainder && made === 0 && filled > 0) {
    yield sequence.slice(0, filled);
  }
}

/** The items in an order that is random over a window of `size` items and depends on the seed alone. */
export async function* shuffled<T>(
  items: Stream<T>,
  { size, seed }: { size: number; seed: number },
): AsyncGenerator<T> {
  const random = stream(seed, 'shuffle');
  const buffer: T[] = [];
  let drawn = 0;
  const take = (): T => {
    const at = Math.floor(random.uniform(1, { start: drawn++ })[0]! * buffer.length);
    const item = buffer[at]!;
    const last = buffer.pop()!;
    if (at < buffer.length) {
      buffer[at] = last;
    }
    return item;
  };
  for await (const item of items) {
    buffer.push(item);
    if (buffer.length >= size) {
      yield take();
    }
  }
  while (buffer.length > 0) {
    yield take();
  }
}

/** The stream again and again, as often as asked for (for ever by default). */
export async function* repeated<T>(make: () => Stream<T>, times = Number.POSITIVE_INFINITY): AsyncGenerator<T> {
  for (let i = 0; i < times; i++) {
    let empty = true;
    for await (const item of make()) {
      empty = false;
      yield item;
    }
    if (empty) {
      return;
    }
  }
}
