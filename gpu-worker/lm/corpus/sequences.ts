/** Streams of items: in another order, and again and again. */
import { stream } from '../../../shared/math/random.ts';

type Stream<T> = AsyncIterable<T> | Iterable<T>;

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
    buffer[at] = buffer[buffer.length - 1]!;
    buffer.length -= 1;
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
