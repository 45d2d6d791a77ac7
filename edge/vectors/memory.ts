/** The first lookup tier: representations in the isolate's memory, bounded in bytes, the least useful evicted first. */
import type { Representation } from './representation.ts';

/** A quarter of an isolate's 128 MB. */
const BYTES_LIMIT = 32 * 1024 * 1024;
/** Deleted results are noticed after this long at the latest. */
export const RECHECK_MS = 60_000;

export type Remembered = {
  readonly representation: Representation;
  readonly size: number;
  /** When the index last said that the vector exists, in ms. */
  checked: number;
  used: boolean;
};

export class VectorMemory {
  readonly #entries = new Map<string, Remembered>();
  readonly #limit: number;
  #bytes = 0;

  constructor(limit: number = BYTES_LIMIT) {
    this.#limit = limit;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): Remembered | undefined {
    const entry = this.#entries.get(key);
    // a mark instead of a move: what was used since the last look gets a second chance at eviction
    if (entry !== undefined) {
      entry.used = true;
    }
    return entry;
  }

  set(key: string, representation: Representation, checked: number): void {
    this.delete(key);
    // the description is shared by a vector's representations, but counted with each
    const size = representation.bytes.byteLength + JSON.stringify(representation.description).length + 1024;
    if (size > this.#limit / 4) {
      return;
    }
    while (this.#bytes + size > this.#limit) {
      this.#evict();
    }
    this.#entries.set(key, { representation, size, checked, used: false });
    this.#bytes += size;
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) {
      return;
    }
    this.#entries.delete(key);
    this.#bytes -= entry.size;
  }

  /** Notes that what the key stands for exists at `now`. */
  confirm(key: string, now: number): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      entry.checked = now;
    }
  }

  #evict(): void {
    for (const [key, entry] of this.#entries) {
      this.#entries.delete(key);
      if (entry.used) {
        entry.used = false;
        this.#entries.set(key, entry);
        continue;
      }
      this.#bytes -= entry.size;
      return;
    }
  }
}
