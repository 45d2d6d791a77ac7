/** The bytes of WFDB signal files: formats 16 and 212, in pieces of any size. */
import { recordError } from '../record-error.ts';
import type { WfdbFormat } from './header.ts';

/** Samples of one file from pieces of its bytes; a sample that is cut waits for the next piece. */
export class SampleDecoder {
  readonly #format: WfdbFormat;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(format: WfdbFormat) {
    this.#format = format;
  }

  push(bytes: Uint8Array): Int32Array {
    const all = joined(this.#rest, bytes);
    const unit = this.#format === '16' ? 2 : 3;
    const used = Math.floor(all.length / unit) * unit;
    this.#rest = all.slice(used);
    return this.#format === '16' ? decode16(all, used) : decode212(all, used);
  }

  /** What the file's last bytes hold: format 212 may end with one sample in two bytes. */
  end(): Int32Array {
    const [low, high] = this.#rest;
    this.#rest = new Uint8Array(0);
    if (low === undefined || high === undefined || this.#format === '16') {
      return new Int32Array(0);
    }
    return Int32Array.of(signed12(low | ((high & 15) << 8)));
  }

  /** Bytes that make up no sample. */
  get left(): number {
    return this.#rest.length;
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) {
    return b;
  }
  const whole = new Uint8Array(a.length + b.length);
  whole.set(a);
  whole.set(b, a.length);
  return whole;
}

const signed12 = (value: number): number => (value > 2047 ? value - 4096 : value);

function decode16(bytes: Uint8Array, used: number): Int32Array {
  const out = new Int32Array(used / 2);
  for (let i = 0; i < out.length; i++) {
    out[i] = ((bytes[2 * i]! | (bytes[2 * i + 1]! << 8)) << 16) >> 16;
  }
  return out;
}

function decode212(bytes: Uint8Array, used: number): Int32Array {
  const out = new Int32Array((used / 3) * 2);
  for (let at = 0, i = 0; at < used; at += 3, i += 2) {
    const [low, middle, high] = [bytes[at]!, bytes[at + 1]!, bytes[at + 2]!];
    out[i] = signed12(low | ((middle & 15) << 8));
    out[i + 1] = signed12(high | ((middle >> 4) << 8));
  }
  return out;
}

/** Bytes of one file from pieces of its samples. */
export class SampleEncoder {
  readonly #format: WfdbFormat;
  #odd: number | null = null;

  constructor(format: WfdbFormat) {
    this.#format = format;
  }

  /** @throws SextantError `data_invalid` for a sample outside the format's range */
  push(samples: ArrayLike<number>): Uint8Array {
    const limit = this.#format === '16' ? 32768 : 2048;
    for (let i = 0; i < samples.length; i++) {
      if (samples[i]! < -limit || samples[i]! >= limit) {
        throw recordError('wfdb_sample_range', `${samples[i]} does not fit into format ${this.#format}`);
      }
    }
    if (this.#format === '16') {
      const bytes = new Uint8Array(2 * samples.length);
      for (let i = 0; i < samples.length; i++) {
        bytes[2 * i] = samples[i]! & 255;
        bytes[2 * i + 1] = (samples[i]! >> 8) & 255;
      }
      return bytes;
    }
    const carried = this.#odd === null ? 0 : 1;
    const pairs = Math.floor((samples.length + carried) / 2);
    const bytes = new Uint8Array(3 * pairs);
    const sample = (i: number) => (i < carried ? this.#odd! : samples[i - carried]!) & 4095;
    for (let pair = 0; pair < pairs; pair++) {
      const [a, b] = [sample(2 * pair), sample(2 * pair + 1)];
      bytes.set([a & 255, (a >> 8) | ((b >> 8) << 4), b & 255], 3 * pair);
    }
    this.#odd = (samples.length + carried) % 2 === 1 ? (samples[samples.length - 1] ?? this.#odd) : null;
    return bytes;
  }

  end(): Uint8Array {
    if (this.#odd === null) {
      return new Uint8Array(0);
    }
    const last = this.#odd & 4095;
    this.#odd = null;
    return Uint8Array.of(last & 255, last >> 8);
  }
}
