/** What outlives a job in a computing process: opened things by what they are made of, bounded in bytes. */
import { join } from 'node:path';

/** Something that was opened, and how it is closed. */
type Opened<T> = {
  value: T;
  /** Bytes that it takes at present. */
  bytes: () => number;
  close: () => Promise<void>;
  /** Digests of the blobs that it was made from: where their owner deletes one, it goes. */
  digests: readonly string[];
};
type Entry = { opening: Promise<Opened<unknown>>; opened: Opened<unknown> | null; users: number; forgotten: boolean };

/** A share of something opened, until it is given back. */
type Share<T> = { value: T; giveBack: () => Promise<void> };

export class Standing {
  readonly #folder: string;
  readonly #limit: number;
  /** The least recently used first. */
  readonly #entries = new Map<string, Entry>();
  #folders = 0;

  /**
   * @param folder of the process
   * @param limit bytes of what nobody uses at the moment
   */
  constructor(folder: string, limit: number) {
    this.#folder = folder;
    this.#limit = limit;
  }

  /** A path that nothing lies at, in the folder of the process. */
  newFolder(): string {
    return join(this.#folder, String(this.#folders++));
  }

  /**
   * The thing of this key, opened unless it is there. Equal keys name equal things, whoever asks: what a job may not read has
   * to be refused before. Raises what `open` raises.
   */
  async share<T>(key: string, open: () => Promise<Opened<T>>): Promise<Share<T>> {
    let entry = this.#entries.get(key);
    if (!entry) {
      entry = { opening: open(), opened: null, users: 0, forgotten: false };
    }
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    entry.users += 1;
    try {
      entry.opened = await entry.opening;
    } catch (error) {
      this.#remove(key, entry);
      throw error;
    }
    let given = false;
    const shared = entry;
    return {
      value: entry.opened.value as T,
      giveBack: async () => {
        if (!given) {
          given = true;
          shared.users -= 1;
          await (shared.forgotten ? this.#close(shared) : this.#fit());
        }
      },
    };
  }

  /** Drops what was made from these blobs; what is in use goes when it is given back. */
  async forget(digests: readonly string[]): Promise<void> {
    const gone = new Set(digests);
    for (const [key, entry] of [...this.#entries]) {
      if (entry.opened?.digests.some((digest) => gone.has(digest))) {
        this.#remove(key, entry);
        await this.#close(entry);
      }
    }
  }

  /** Closes what nobody uses, the least recently used first, until the rest fits. */
  async #fit(): Promise<void> {
    let bytes = 0;
    for (const { opened } of this.#entries.values()) {
      bytes += opened?.bytes() ?? 0;
    }
    for (const [key, entry] of [...this.#entries]) {
      if (bytes <= this.#limit) {
        return;
      }
      if (entry.opened && entry.users === 0) {
        bytes -= entry.opened.bytes();
        this.#remove(key, entry);
        await this.#close(entry);
      }
    }
  }

  #remove(key: string, entry: Entry): void {
    entry.forgotten = true;
    if (this.#entries.get(key) === entry) {
      this.#entries.delete(key);
    }
  }

  async #close({ opened, users }: Entry): Promise<void> {
    if (users === 0) {
      await opened?.close();
    }
  }
}
