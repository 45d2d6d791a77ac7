/** Lists: awaited, the first page; gone over with `for await`, every item of every page. */
import type { CallOptions, Query, Transport } from './transport.ts';

export type Page<T> = { data: T[]; next_cursor: string | null };
export type PageOptions = CallOptions & {
  /** Items of a page, 1 to 100. */
  limit?: number;
  /** Where to begin, as `next_cursor` of an earlier page gave it. */
  cursor?: string;
};

export class Pages<T> implements AsyncIterable<T>, PromiseLike<Page<T>> {
  readonly #read: (cursor: string | undefined) => Promise<Page<T>>;
  readonly #start: string | undefined;
  constructor(transport: Transport, path: string, { signal, cursor, ...filters }: PageOptions) {
    const rest = filters as Query;
    this.#start = cursor;
    this.#read = (cursor) =>
      transport.json<Page<T>>('GET', path, { query: { ...rest, cursor }, ...(signal ? { signal } : {}) });
  }

  /** Each page in turn, read when it is asked for. */
  async *pages(): AsyncGenerator<Page<T>, void, undefined> {
    let cursor = this.#start;
    for (;;) {
      const page = await this.#read(cursor);
      yield page;
      if (page.next_cursor === null) {
        return;
      }
      cursor = page.next_cursor;
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const { data } of this.pages()) {
      yield* data;
    }
  }

  // biome-ignore lint/suspicious/noThenProperty: awaiting a list reads its first page
  then<A = Page<T>, B = never>(
    fulfilled?: ((page: Page<T>) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#read(this.#start).then(fulfilled, rejected);
  }
}
