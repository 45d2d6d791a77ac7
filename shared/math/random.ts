/**
 * Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011). Element `i` of every draw depends on (seed, stream, i) only, never on what was drawn before, so
 * results do not change with chunking, resumption or the order of calls.
 */

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

/** 64 bits of FNV-1a over the UTF-8 bytes of a stream's name, as two words. */
function hashName(name: string): [number, number] {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(name)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return [Number(hash & 0xffffffffn), Number(hash >> 32n)];
}

const TWO_32 = 4294967296;

/** One named stream of random numbers under one seed. Every draw takes the index of its first element. */
export class RandomStream {
  readonly seed: number;
  readonly name: string;
  readonly #key: readonly [number, number];
  readonly #high: readonly [number, number];

  constructor(seed: number, name: string) {
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new RangeError(`a seed is an integer from 0 below 2^53, got ${seed}`);
    }
    this.seed = seed;
    this.name = name;
    this.#key = [seed % TWO_32, Math.floor(seed / TWO_32)];
    this.#high = hashName(name);
  }

  /** A stream of its own for a part of the work, such as one parameter or one epoch. */
  derive(part: string | number): RandomStream {
    return new RandomStream(this.seed, `${this.name}/${part}`);
  }

  /**
   * Fills `out` with the unsigned 32-bit words `start ...` of the stream. The rounds are written out over 16-bit halves in
   * integer arithmetic: resampling draws hundreds of millions of words.
   */
  fillWords(out: Uint32Array, start = 0): void {
    const m0Low = M0 & 0xffff;
    const m0High = M0 >>> 16;
    const m1Low = M1 & 0xffff;
    const m1High = M1 >>> 16;
    const end = start + out.length;
    for (let block = Math.floor(start / 4); 4 * block < end; block++) {
      let c0 = block | 0;
      let c1 = Math.floor(block / TWO_32) | 0;
      let c2 = this.#high[0] | 0;
      let c3 = this.#high[1] | 0;
      let k0 = this.#key[0] | 0;
      let k1 = this.#key[1] | 0;
      for (let round = 0; round < 10; round++) {
        const a0 = c0 & 0xffff;
        const a1 = c0 >>> 16;
        const a = (Math.imul(a1, m0Low) + (Math.imul(a0, m0Low) >>> 16)) >>> 0;
        const aLow = (Math.imul(a0, m0High) + (a & 0xffff)) >>> 0;
        const h0 = (Math.imul(a1, m0High) + (a >>> 16) + (aLow >>> 16)) | 0;
        const b0 = c2 & 0xffff;
        const b1 = c2 >>> 16;
        const b = (Math.imul(b1, m1Low) + (Math.imul(b0, m1Low) >>> 16)) >>> 0;
        const bLow = (Math.imul(b0, m1High) + (b & 0xffff)) >>> 0;
        const h1 = (Math.imul(b1, m1High) + (b >>> 16) + (bLow >>> 16)) | 0;
        const l0 = Math.imul(c0, M0);
        const l1 = Math.imul(c2, M1);
        c0 = h1 ^ c1 ^ k0;
        c1 = l1;
        c2 = h0 ^ c3 ^ k1;
        c3 = l0;
        k0 = (k0 + W0) | 0;
        k1 = (k1 + W1) | 0;
      }
      // Words before `start` or after the end fall outside the array and are dropped.
      const at = 4 * block - start;
      if (at >= 0) {
        out[at] = c0;
      }
      if (at + 1 >= 0) {
        out[at + 1] = c1;
      }
      if (at + 2 >= 0) {
        out[at + 2] = c2;
      }
      out[at + 3] = c3;
    }
  }

  /** Unsigned 32-bit words `start .. start + n - 1` of the stream. */
  words(n: number, start = 0): Uint32Array {
    const out = new Uint32Array(n);
    this.fillWords(out, start);
    return out;
  }

  /** Uniform in [low, high), 53 bits each; element i uses words 2i and 2i+1. */
  uniform(n: number, { low = 0, high = 1, start = 0 } = {}): Float64Array {
    const words = this.words(2 * n, 2 * start);
    const out = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      const unit = (words[2 * i]! * 2097152 + (words[2 * i + 1]! >>> 11)) / 9007199254740992;
      out[i] = low + (high - low) * unit;
    }
    return out;
  }

  /** Standard normal by Box-Muller, scaled; elements 2j and 2j+1 come from the uniforms 2j and 2j+1. */
  normal(n: number, { mean = 0, deviation = 1, start = 0 } = {}): Float64Array {
    const first = start - (start % 2);
    const pairs = Math.ceil((start + n - first) / 2);
    const uniform = this.uniform(2 * pairs, { start: first });
    const out = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      const at = start + i - first;
      const radius = Math.sqrt(-2 * Math.log(1 - uniform[at - (at % 2)]!));
      const angle = 2 * Math.PI * uniform[at - (at % 2) + 1]!;
      out[i] = mean + deviation * radius * (at % 2 === 0 ? Math.cos(angle) : Math.sin(angle));
    }
    return out;
  }

  /** The same as `normal`, in single precision. */
  normal32(n: number, options: { mean?: number; deviation?: number; start?: number } = {}): Float32Array {
    return Float32Array.from(this.normal(n, options));
  }

  /** The same as `uniform`, in single precision (a value that would round up to `high` stays below it). */
  uniform32(n: number, options: { low?: number; high?: number; start?: number } = {}): Float32Array {
    const { low = 0, high = 1, start = 0 } = options;
    const words = this.words(n, start);
    return Float32Array.from(words, (word) => low + (high - low) * ((word >>> 8) / 16777216));
  }

  /** Integers in [0, bound), unbiased to 2^-53 (bound below 2^32). */
  integers(n: number, bound: number, { start = 0 } = {}): Uint32Array {
    if (!Number.isSafeInteger(bound) || bound < 1 || bound > TWO_32) {
      throw new RangeError(`bound must be an integer from 1 to 2^32, got ${bound}`);
    }
    return Uint32Array.from(this.uniform(n, { start }), (u) => Math.floor(u * bound));
  }

  /** A permutation of 0 .. n-1 (Fisher-Yates). */
  permutation(n: number): Uint32Array {
    return this.subset(n, n);
  }

  /** `k` different integers below `n`, in random order: the first k steps of a Fisher-Yates shuffle. */
  subset(n: number, k: number): Uint32Array {
    if (k > n) {
      throw new RangeError(`cannot choose ${k} of ${n}`);
    }
    const uniform = this.uniform(k);
    const moved = new Map<number, number>();
    const out = new Uint32Array(k);
    for (let i = 0; i < k; i++) {
      const j = i + Math.floor(uniform[i]! * (n - i));
      out[i] = moved.get(j) ?? j;
      moved.set(j, moved.get(i) ?? i);
      moved.delete(i);
    }
    return out;
  }
}

/** The stream called `name` under `seed` (an integer from 0 below 2^53). */
export const stream = (seed: number, name: string): RandomStream => new RandomStream(seed, name);
