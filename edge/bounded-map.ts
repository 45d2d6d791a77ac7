/** A map for an isolate's memory: beyond `limit` entries, a new one takes the place of the oldest. */
export class BoundedMap<K, V> extends Map<K, V> {
  readonly #limit: number;

  /** @param limit at least 1 */
  constructor(limit: number) {
    super();
    this.#limit = limit;
  }

  override set(key: K, value: V): this {
    if (this.size >= this.#limit && !this.has(key)) {
      this.delete(this.keys().next().value as K);
    }
    return super.set(key, value);
  }
}
