/** Keys and values of earlier positions, held by the host and grown in steps. */
import type { Architecture } from '../../shared/models/architecture.ts';
import type { FeedValue, HostTensor } from '../runtime/index.ts';
import { cacheMask } from './masks.ts';
import { maskName } from './programs.ts';

/** Positions are added in multiples of this, so that the compiled kernels meet few different sizes. */
const STEP = 64;

export class KvCache {
  /** Positions filled. */
  length = 0;
  readonly #a: Architecture;
  readonly #starts: readonly number[];
  readonly #layers: { keys: Float32Array; values: Float32Array }[];
  #capacity = STEP;

  constructor(architecture: Architecture, starts: readonly number[]) {
    this.#a = architecture;
    this.#starts = starts;
    const size = this.#planes * STEP * architecture.headDim;
    this.#layers = Array.from({ length: architecture.layers }, () => ({
      keys: new Float32Array(size),
      values: new Float32Array(size),
    }));
  }

  /** One plane [capacity, headDim] for each row and key/value head. */
  get #planes(): number {
    return this.#starts.length * this.#a.kvHeads;
  }

  /** The inputs with which `seq` new positions look at the cache. */
  feeds(seq: number): Record<string, FeedValue> {
    const shape = [this.#starts.length, this.#a.kvHeads, this.#capacity, this.#a.headDim];
    const feeds: Record<string, FeedValue> = {};
    for (const [layer, { keys, values }] of this.#layers.entries()) {
      feeds[`keys.${layer}`] = { shape, data: keys };
      feeds[`values.${layer}`] = { shape, data: values };
    }
    for (const window of new Set(this.#a.windows))
      feeds[`past.${maskName(window)}`] = {
        shape: [this.#starts.length, 1, 1, seq, this.#capacity],
        data: cacheMask(seq, this.#capacity, this.length, window, this.#starts),
      };
    return feeds;
  }

  /** Takes over the new keys and values that a run returned. */
  append(outputs: Readonly<Record<string, HostTensor>>, seq: number): void {
    this.#reserve(this.length + seq);
    for (const [layer, held] of this.#layers.entries()) {
      this.#store(held.keys, outputs[`keys.${layer}.new`]!.data as Float32Array, seq);
      this.#store(held.values, outputs[`values.${layer}.new`]!.data as Float32Array, seq);
    }
    this.length += seq;
  }

  #store(held: Float32Array, fresh: Float32Array, seq: number): void {
    const { headDim } = this.#a;
    for (let plane = 0; plane < this.#planes; plane++)
      held.set(
        fresh.subarray(plane * seq * headDim, (plane + 1) * seq * headDim),
        (plane * this.#capacity + this.length) * headDim,
      );
  }

  #reserve(positions: number): void {
    if (positions <= this.#capacity) return;
    const capacity = Math.ceil(Math.max(positions, this.#capacity * 1.25) / STEP) * STEP;
    const { headDim } = this.#a;
    for (const layer of this.#layers)
      for (const name of ['keys', 'values'] as const) {
        const larger = new Float32Array(this.#planes * capacity * headDim);
        for (let plane = 0; plane < this.#planes; plane++) {
          const from = plane * this.#capacity * headDim;
          larger.set(layer[name].subarray(from, from + this.length * headDim), plane * capacity * headDim);
        }
        layer[name] = larger;
      }
    this.#capacity = capacity;
  }
}
