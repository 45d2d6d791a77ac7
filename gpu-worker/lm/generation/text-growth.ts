/**
 * A text as it grows token by token. What is told never changes any more: parts of characters wait for their last byte,
 * and what could be the beginning of a stop string waits until it is known not to be one.
 */
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** Tokens before the newest that are decoded with them: more than the bytes of a character. */
const NEAR = 8;
/** What the decoder writes for bytes that are no character. */
const DAMAGED = '\ufffd';

export class TextGrowth {
  readonly #tokenizer: Tokenizer;
  readonly #stop: readonly string[];
  /** The prompt and the tokens so far. */
  readonly #ids: number[];
  /** Where the tokens begin whose text is not settled. */
  #open: number;
  /** Settled and not told yet. */
  #held = '';
  #told = '';

  constructor(tokenizer: Tokenizer, prompt: ArrayLike<number>, stop: readonly string[]) {
    this.#tokenizer = tokenizer;
    this.#stop = stop;
    this.#ids = Array.from(prompt);
    this.#open = this.#ids.length;
  }

  /** Length of what was told, in UTF-16 units. */
  get length(): number {
    return this.#told.length;
  }

  /** What becomes certain with this token. */
  push(token: number): string {
    this.#ids.push(token);
    const text = this.#tokenizer.continuation(
      this.#ids.slice(Math.max(0, this.#open - NEAR), this.#open),
      this.#ids.slice(this.#open),
    );
    if (text.endsWith(DAMAGED)) {
      return '';
    }
    this.#open = this.#ids.length;
    this.#held += text;
    return this.#tell(this.#held.length - this.#atStake());
  }

  /** The rest, once the whole text is known. Where the whole text begins otherwise than was told, nothing is added. */
  end(whole: string): string {
    this.#held = whole.startsWith(this.#told) ? whole.slice(this.#told.length) : '';
    return this.#tell(this.#held.length);
  }

  #tell(length: number): string {
    const text = this.#held.slice(0, length);
    this.#held = this.#held.slice(length);
    this.#told += text;
    return text;
  }

  /** Characters at the end, or from a whole stop string on, that may be cut off. */
  #atStake(): number {
    let most = 0;
    for (const stop of this.#stop) {
      const at = this.#held.indexOf(stop);
      if (at >= 0) {
        most = Math.max(most, this.#held.length - at);
        continue;
      }
      for (let length = Math.min(stop.length - 1, this.#held.length); length > most; length--) {
        if (this.#held.endsWith(stop.slice(0, length))) {
          most = length;
        }
      }
    }
    return most;
  }
}
