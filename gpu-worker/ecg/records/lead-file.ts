/**
 * Samples of one lead in a file of the attempt's scratch folder, read at any place: so the memory that a recording of a day
 * takes is that of a stretch. Missing samples are bridged by a line between their neighbours and remembered.
 */
import { type FileHandle, open } from 'node:fs/promises';
import type { Missing } from './record.ts';

/** Samples that are written at a time. */
const BUFFERED = 65_536;

export class LeadFile {
  /** Samples so far. */
  length = 0;
  readonly missing: Missing[] = [];
  readonly #file: FileHandle;
  readonly #buffer = new Float32Array(BUFFERED);
  #held = 0;
  #last = Number.NaN;
  #gap = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async create(path: string): Promise<LeadFile> {
    return new LeadFile(await open(path, 'w+'));
  }

  /** Appends samples; NaN is missing. */
  async append(values: ArrayLike<number>): Promise<void> {
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (!Number.isFinite(value)) {
        this.#gap++;
        continue;
      }
      if (this.#gap > 0) {
        await this.#bridge(value);
      }
      await this.#put(value);
      this.#last = value;
    }
  }

  /** Ends the writing: what is missing at the end keeps the last value. */
  async end(): Promise<void> {
    if (this.#gap > 0) {
      await this.#bridge(Number.isNaN(this.#last) ? 0 : this.#last);
    }
    await this.#flush();
  }

  async #bridge(next: number): Promise<void> {
    const count = this.#gap;
    this.#gap = 0;
    const from = this.length;
    const before = Number.isNaN(this.#last) ? next : this.#last;
    for (let k = 1; k <= count; k++) {
      await this.#put(before + ((next - before) * k) / (count + 1));
    }
    this.missing.push({ from, to: from + count });
  }

  async #put(value: number): Promise<void> {
    this.#buffer[this.#held++] = value;
    this.length++;
    if (this.#held === BUFFERED) {
      await this.#flush();
    }
  }

  async #flush(): Promise<void> {
    if (this.#held === 0) {
      return;
    }
    await this.#file.write(
      new Uint8Array(this.#buffer.buffer, 0, 4 * this.#held),
      0,
      4 * this.#held,
      4 * (this.length - this.#held),
    );
    this.#held = 0;
  }

  /** Samples [from, to) within the file. */
  async read(from: number, to: number): Promise<Float64Array> {
    const bytes = new Uint8Array(4 * (to - from));
    await this.#file.read(bytes, 0, bytes.length, 4 * from);
    return Float64Array.from(new Float32Array(bytes.buffer));
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** Whether a sample lies in one of the stretches, which are in order and apart. */
export function isMissing(missing: readonly Missing[], at: number): boolean {
  let [low, high] = [0, missing.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (missing[middle]!.to <= at) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < missing.length && missing[low]!.from <= at;
}
