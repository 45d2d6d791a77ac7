/** Whether this host can compute at present: its disk, and how the last attempts on it ended. */
import { statfs } from 'node:fs/promises';

/** A disk with less free is full: bytes, and share of the whole where the disk is small. */
const LEAST_FREE_BYTES = 64 * 1024 * 1024;
const LEAST_FREE_SHARE = 0.01;
/** So many attempts in a row that ended by faults of this host are enough. */
const MOST_FAULTS = 3;
/** After this time one more job is tried. */
const REST_MS = 600_000;

export class HostHealth {
  readonly #data: string;
  #faults = 0;
  #last = '';
  #restUntil = 0;
  /** What keeps the worker from pulling; null while nothing does. */
  reason: string | null = null;

  /** @param data the worker's folder, whose disk is watched */
  constructor(data: string) {
    this.#data = data;
  }

  /** An attempt has ended, by this fault of the host or, with null, by none. */
  attempt(fault: string | null): void {
    if (fault === null) {
      this.#faults = 0;
      return;
    }
    this.#faults += 1;
    this.#last = fault;
    if (this.#faults >= MOST_FAULTS || fault === 'disk_full') {
      this.#restUntil = performance.now() + REST_MS;
    }
  }

  /** Looks again; answers whether the worker may pull. */
  async isWell(): Promise<boolean> {
    this.reason = await this.#trouble();
    return this.reason === null;
  }

  async #trouble(): Promise<string | null> {
    const full = await this.#diskIsFull();
    if (full) {
      return `disk_full: ${full}`;
    }
    if (this.#last === 'disk_full' && this.#faults < MOST_FAULTS) {
      // the disk has room again
      this.#restUntil = 0;
    }
    if (performance.now() < this.#restUntil) {
      return `${this.#last}: ${this.#faults} attempts in a row ended by faults of this host`;
    }
    return null;
  }

  async #diskIsFull(): Promise<string | null> {
    const disk = await statfs(this.#data).catch(() => null);
    if (!disk) {
      return null;
    }
    const free = disk.bavail * disk.bsize;
    const least = Math.min(LEAST_FREE_BYTES, LEAST_FREE_SHARE * disk.blocks * disk.bsize);
    return free < least ? `${free} bytes are free` : null;
  }
}
