/**
 * Wavelet shrinkage: Daubechies' wavelet of 8 taps, five levels, periodic, soft universal threshold (Donoho and
 * Johnstone 1994). The phase of the decimation is that of PyWavelets' `periodization`.
 */

/** Low-pass taps (Daubechies 1988), orthonormal. */
const DB4: readonly number[] = [
  0.2303778133088965, 0.7148465705529157, 0.6308807679298589, -0.027983769416859854, -0.18703481171909309,
  0.030841381835560764, 0.0328830116668852, -0.010597401785069032,
];
const HIGH = DB4.map((_, k) => (k % 2 === 0 ? 1 : -1) * DB4[7 - k]!);
const LEVELS = 5;
/** Samples by which the strip is moved to the right before the transform and back after it. */
const PHASE = 29;

/** One level of a signal of even length: its coarse half and its detail half. */
export function analyse(x: Float64Array): { coarse: Float64Array; detail: Float64Array } {
  const half = x.length / 2;
  const [coarse, detail] = [new Float64Array(half), new Float64Array(half)];
  for (let i = 0; i < half; i++) {
    for (let k = 0; k < 8; k++) {
      const value = x[(2 * i + k) % x.length]!;
      coarse[i]! += DB4[k]! * value;
      detail[i]! += HIGH[k]! * value;
    }
  }
  return { coarse, detail };
}

/** The signal of which `analyse` made the halves. */
export function synthesise(coarse: Float64Array, detail: Float64Array): Float64Array {
  const x = new Float64Array(2 * coarse.length);
  for (let i = 0; i < coarse.length; i++) {
    for (let k = 0; k < 8; k++) {
      x[(2 * i + k) % x.length]! += DB4[k]! * coarse[i]! + HIGH[k]! * detail[i]!;
    }
  }
  return x;
}

/** The mean of the middle two where the count is even. */
function median(values: ArrayLike<number>): number {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length / 2;
  return Number.isInteger(middle) ? (sorted[middle - 1]! + sorted[middle]!) / 2 : sorted[Math.floor(middle)]!;
}

type Shrunk = { values: Float64Array; sigma: number; threshold: number };

/** @param phase samples of circular shift around the transform; 0 is the plain form */
export function shrink(x: ArrayLike<number>, phase = PHASE): Shrunk {
  const n = x.length;
  const length = Math.ceil(n / 2 ** LEVELS) * 2 ** LEVELS;
  const moved = new Float64Array(length);
  for (let i = 0; i < length; i++) {
    moved[(i + phase) % length] = x[Math.min(i, n - 1)]!;
  }
  const details: Float64Array[] = [];
  let coarse: Float64Array = moved;
  for (let level = 0; level < LEVELS; level++) {
    const halves = analyse(coarse);
    details.push(halves.detail);
    coarse = halves.coarse;
  }
  const sigma = median(details[0]!.map(Math.abs)) / 0.6745;
  const threshold = sigma * Math.sqrt(2 * Math.log(n));
  for (const detail of details.reverse()) {
    const soft = detail.map((value) => Math.sign(value) * Math.max(Math.abs(value) - threshold, 0));
    coarse = synthesise(coarse, soft);
  }
  const values = Float64Array.from({ length: n }, (_, i) => coarse[(i + phase) % length]!);
  return { values, sigma, threshold };
}
