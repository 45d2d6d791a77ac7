/** The first sequences of a stream that together reach a number of tokens. */
export async function* takeTokens<T extends ArrayLike<number>>(
  sequences: AsyncIterable<T> | Iterable<T>,
  tokens: number,
): AsyncGenerator<T> {
  let taken = 0;
  for await (const ids of sequences) {
    yield ids;
    taken += ids.length;
    if (taken >= tokens) {
      return;
    }
  }
}
