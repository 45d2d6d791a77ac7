/** Keys and values of earlier positions, held by the host and grown in steps. */
import type { Architecture } from '../../../shared/models/architecture.ts';
import type { FeedValue, HostTensor } from '../../runtime/index.ts';
import { cacheMask } from '../network/masks.ts';
import { maskName } from './programs.ts';

/** Positions are added in multiples of this, so that the compiled kernels meet few different sizes. */
const STEP = 64;

export class KvCache {
  /** Positions that each row fills, from index 0. */
  readonly lengths: number[];
  readonly #a: Architecture;
  readonly #layers: { keys: Float32Array; values: Float32Array }[];
  #capacity: number;

  constructor(architecture: Architecture, rows: number, capacity = STEP) {
    this.#a = architecture;
    this.#capacity = capacity;
    this.lengths = new Array<number>(rows).fill(0);
    const size = this.#planes * capacity * architecture.headDim;
    this.#layers = Array.from({ length: architecture.layers }, () => ({
      keys: new Float32Array(size),
      values: new Float32Array(size),
    }));
  }

  /** A cache with these rows of others, each as far as it goes or for its first `length` positions. */
  static of(architecture: Architecture, parts: readonly { cache: KvCache; row: number; length?: number }[]): KvCache {
    const lengths = parts.map(({ cache, row, length }) => length ?? cache.lengths[row]!);
    const capacity = Math.max(1, Math.ceil(Math.max(0, ...lengths) / STEP)) * STEP;
    const made = new KvCache(architecture, parts.length, capacity);
    const { headDim, kvHeads } = architecture;
    for (const [to, { cache, row }] of parts.entries()) {
      for (const [layer, held] of made.#layers.entries()) {
        for (const name of ['keys', 'values'] as const) {
          for (let head = 0; head < kvHeads; head++) {
            const from = (row * kvHeads + head) * cache.#capacity * headDim;
            const plane = cache.#layers[layer]![name].subarray(from, from + lengths[to]! * headDim);
            held[name].set(plane, (to * kvHeads + head) * capacity * headDim);
          }
        }
      }
      made.lengths[to] = lengths[to]!;
    }
    return made;
  }

  get bytes(): number {
    return this.#layers.reduce((sum, { keys, values }) => sum + keys.byteLength + values.byteLength, 0);
  }

  /** One plane [capacity, headDim] for each row and key/value head. */
  get #planes(): number {
    return this.lengths.length * this.#a.kvHeads;
  }

  /** The longest row. */
  get length(): number {
    return Math.max(...this.lengths);
  }

  /** The buffers of all layers, by input name. */
  buffers(): Record<string, FeedValue> {
    const shape = [this.lengths.length, this.#a.kvHeads, this.#capacity, this.#a.headDim];
    const feeds: Record<string, FeedValue> = {};
    for (const [layer, { keys, values }] of this.#layers.entries()) {
      feeds[`keys.${layer}`] = { shape, data: keys };
      feeds[`values.${layer}`] = { shape, data: values };
    }
    return feeds;
  }

  /** How `seq` new positions of each row look at the cache, by input name. */
  masks(seq: number): Record<string, FeedValue> {
    const feeds: Record<string, FeedValue> = {};
    for (const window of new Set(this.#a.windows)) {
      feeds[`past.${maskName(window)}`] = {
        shape: [this.lengths.length, 1, 1, seq, this.#capacity],
        data: cacheMask(seq, this.#capacity, this.lengths, window),
      };
    }
    return feeds;
  }

  /**
   * Takes over the first `counts[row]` of the `seq` keys and values [batch, seq, kvHeads, headDim] that a run returned
   * for each row.
   */
  append(outputs: Readonly<Record<string, HostTensor>>, seq: number, counts: readonly number[]): void {
    for (const [layer, held] of this.#layers.entries()) {
      for (const name of ['keys', 'values'] as const) {
        this.#store(held[name], outputs[`${name}.${layer}.new`]!.data as Float32Array, seq, counts);
      }
    }
    for (const [row, count] of counts.entries()) {
      this.lengths[row]! += count;
    }
  }

  #store(held: Float32Array, fresh: Float32Array, seq: number, counts: readonly number[]): void {
    const { headDim, kvHeads } = this.#a;
    for (const [row, count] of counts.entries()) {
      for (let i = 0; i < count; i++) {
        for (let head = 0; head < kvHeads; head++) {
          const from = ((row * seq + i) * kvHeads + head) * headDim;
          const to = (row * kvHeads + head) * this.#capacity + this.lengths[row]! + i;
          // So short a piece is copied faster by hand.
          for (let e = 0; e < headDim; e++) {
            held[to * headDim + e] = fresh[from + e]!;
          }
        }
      }
    }
  }

  /** Makes room for `more` positions after the longest row. */
  reserve(more: number): void {
    const positions = this.length + more;
    if (positions <= this.#capacity) {
      return;
    }
    const capacity = Math.ceil(Math.max(positions, this.#capacity * 1.25) / STEP) * STEP;
    const { headDim, kvHeads } = this.#a;
    for (const layer of this.#layers) {
      for (const name of ['keys', 'values'] as const) {
        const larger = new Float32Array(this.#planes * capacity * headDim);
        for (let plane = 0; plane < this.#planes; plane++) {
          const from = plane * this.#capacity * headDim;
          const filled = this.lengths[Math.floor(plane / kvHeads)]! * headDim;
          larger.set(layer[name].subarray(from, from + filled), plane * capacity * headDim);
        }
        layer[name] = larger;
      }
    }
    this.#capacity = capacity;
  }
}
