/** What is known of every second of a lead, in nine bytes each: a day has 86,400 of them. */
import { FLAGS, type Flag } from './flags.ts';

/** What is known of one second of one lead; ratios, in dB, are null where a second holds nothing. */
export type SecondQuality = { before: number | null; after: number | null; flags: Flag[] };

/** An hour's worth. */
const FIRST_ROOM = 3600;

export class SecondColumns implements Iterable<SecondQuality> {
  length = 0;
  #before = new Float32Array(FIRST_ROOM);
  #after = new Float32Array(FIRST_ROOM);
  #flags = new Uint8Array(FIRST_ROOM);

  push({ before, after, flags }: SecondQuality): void {
    if (this.length === this.#flags.length) {
      this.#grow();
    }
    const at = this.length++;
    this.#before[at] = before ?? Number.NaN;
    this.#after[at] = after ?? Number.NaN;
    this.#flags[at] = flags.reduce((bits, flag) => bits | (1 << FLAGS.indexOf(flag)), 0);
  }

  at(second: number): SecondQuality | undefined {
    if (!(second >= 0 && second < this.length)) {
      return undefined;
    }
    const ratio = (values: Float32Array) => (Number.isNaN(values[second]!) ? null : values[second]!);
    const bits = this.#flags[second]!;
    return {
      before: ratio(this.#before),
      after: ratio(this.#after),
      flags: FLAGS.filter((_, i) => (bits & (1 << i)) !== 0),
    };
  }

  slice(from: number, to: number): SecondQuality[] {
    return Array.from({ length: Math.max(0, Math.min(to, this.length) - from) }, (_, i) => this.at(from + i)!);
  }

  *[Symbol.iterator](): Generator<SecondQuality, void, void> {
    for (let second = 0; second < this.length; second++) {
      yield this.at(second)!;
    }
  }

  #grow(): void {
    const larger = <T extends Float32Array | Uint8Array>(values: T, room: T): T => {
      room.set(values);
      return room;
    };
    const room = 2 * this.length;
    this.#before = larger(this.#before, new Float32Array(room));
    this.#after = larger(this.#after, new Float32Array(room));
    this.#flags = larger(this.#flags, new Uint8Array(room));
  }
}
