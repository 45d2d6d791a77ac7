/**
 * The slow part of a signal in three bands, which records of their own and noise fill unevenly: how much of each is worth
 * keeping is the gate's to say. Running means have an end on either side, so that stretches join without a seam.
 */
import { NETWORK_RATE } from '../rate.ts';
import { BLOCK } from './context.ts';

/** Half the lengths, in samples, of the running means, each taken twice: they pass what is slower than 0.05 and 0.27 Hz. */
const HALVES = [3.25, 0.6].map((seconds) => Math.round(seconds * NETWORK_RATE));
export const BANDS: number = HALVES.length + 1;
/** Blocks on either side whose size counts as that of the half minute around. */
const WIDE = 5;

/** @returns bands from slow to fast, whose sum is `slow` */
export function slowBands(slow: Float64Array): Float64Array[] {
  const bands: Float64Array[] = [];
  let below = new Float64Array(slow.length);
  for (const half of HALVES) {
    const means = runningMean(runningMean(slow, half), half);
    bands.push(difference(means, below));
    below = means;
  }
  return [...bands, difference(slow, below)];
}

function difference(x: Float64Array, y: Float64Array): Float64Array {
  const out = new Float64Array(x.length);
  for (let i = 0; i < out.length; i++) {
    out[i] = x[i]! - y[i]!;
  }
  return out;
}

/** Mean of the samples up to `half` away, as far as there are any. */
function runningMean(x: Float64Array, half: number): Float64Array<ArrayBuffer> {
  const n = x.length;
  const out = new Float64Array(n);
  let [sum, from, to] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    while (to < Math.min(n, i + half + 1)) {
      sum += x[to++]!;
    }
    while (from < i - half) {
      sum -= x[from++]!;
    }
    out[i] = sum / (to - from);
  }
  return out;
}

/** Size of every band around a block: logarithms of the rms in the seconds and in the half minute around it. */
export type BandLevels = { near: number[]; wide: number[] };

/** Mean squares of the bands by block, which are needed around many others. */
export class BandSizes {
  readonly #bands: readonly Float64Array[];
  readonly #start: number;
  readonly #sums = new Map<number, number[]>();

  /** @param start sample of the signal that the bands begin at */
  constructor(bands: readonly Float64Array[], start: number) {
    this.#bands = bands;
    this.#start = start;
  }

  /** @param scale unit of the block's signal */
  around(block: number, scale: number): BandLevels {
    return { near: this.#levels(block, 1, scale), wide: this.#levels(block, WIDE, scale) };
  }

  #levels(block: number, reach: number, scale: number): number[] {
    const totals = new Array<number>(BANDS + 1).fill(0);
    for (let b = block - reach; b <= block + reach; b++) {
      for (const [k, value] of this.#of(b).entries()) {
        totals[k]! += value;
      }
    }
    const count = Math.max(1, totals[BANDS]!);
    return totals.slice(0, BANDS).map((sum) => Math.min(LARGEST, Math.log(Math.sqrt(sum / count) / scale + SMALLEST)));
  }

  /** Sums of squares within a block, and the number of samples that it has. */
  #of(block: number): number[] {
    const known = this.#sums.get(block);
    if (known) {
      return known;
    }
    const from = Math.max(0, block * BLOCK - this.#start);
    const to = Math.min(this.#bands[0]!.length, (block + 1) * BLOCK - this.#start);
    const sums = this.#bands.map((band) => {
      let sum = 0;
      for (let i = from; i < to; i++) {
        sum += band[i]! ** 2;
      }
      return sum;
    });
    const made = [...sums, Math.max(0, to - from)];
    this.#sums.set(block, made);
    return made;
  }
}

/** Below this share of the scale a band counts as empty; the logarithm above which it is no larger. */
const [SMALLEST, LARGEST] = [1e-3, 3];
