/**
 * What the network is told of the seconds around a window: the scale of the signal, its slow part and how noisy it is.
 * Everything is measured on the noisy signal alone, so that it is known for any recording.
 */
import { quickselect } from 'd3-array';

/** Samples that share one description, and those that it is measured on, around them. 8.5 s at 360 Hz. */
export const BLOCK = 1024;
export const CONTEXT = 3 * BLOCK;
/** Numbers that describe one lead. */
const LEVELS = 4;
/** Input channels beside the leads: the slow part of every lead, and its levels. */
export const conditionsOf = (leads: number): number => leads * (1 + LEVELS);

export type Context = {
  /** Usual root mean square of a second of the fast part: the unit that the network works in. */
  scale: number;
  /** Logarithms, relative to the scale: rms of the slow part, size between beats of 15 to 75 Hz and of the whole, rms. */
  levels: readonly [number, number, number, number];
};

const SECOND = 384;
/** Distance, in samples, at which differences keep 15 to 75 Hz at 360 Hz. */
const STEP = 4;
/** Every so manieth sample is enough for a median. */
const THIN = 3;
const SILENCE = 1e-9;
const BOUND = 4;

/** The upper median; reorders the values. */
function middle(values: Float64Array): number {
  const half = values.length >> 1;
  quickselect(values, half);
  return values[half]!;
}
const level = (value: number, scale: number): number =>
  Math.max(-BOUND, Math.min(BOUND, Math.log(Math.max(value, SILENCE) / scale)));

/**
 * @param fast the signal without drift, around the block; at least one second of it
 * @param slow what the high-pass took away, over the same samples
 */
export function describeContext(fast: Float64Array, slow: Float64Array): Context {
  const n = fast.length;
  const seconds = Math.max(1, Math.floor(n / SECOND));
  const powers = new Float64Array(seconds);
  let [all, drift] = [0, 0];
  for (let s = 0; s < seconds; s++) {
    const to = s === seconds - 1 ? n : (s + 1) * SECOND;
    let sum = 0;
    for (let i = s * SECOND; i < to; i++) {
      sum += fast[i]! ** 2;
      drift += slow[i]! ** 2;
    }
    all += sum;
    powers[s] = sum / (to - s * SECOND);
  }
  const scale = Math.max(Math.sqrt(middle(powers)), SILENCE);
  const count = Math.floor((n - 2 * STEP) / THIN);
  const [between, size] = [new Float64Array(count), new Float64Array(count)];
  for (let k = 0; k < count; k++) {
    const i = STEP + k * THIN;
    between[k] = Math.abs(fast[i]! - (fast[i - STEP]! + fast[i + STEP]!) / 2);
    size[k] = Math.abs(fast[i]!);
  }
  return {
    scale,
    levels: [
      level(Math.sqrt(drift / n), scale),
      level(count > 0 ? middle(between) : 0, scale),
      level(count > 0 ? middle(size) : 0, scale),
      level(Math.sqrt(all / n), scale),
    ],
  };
}

/**
 * Writes the input of one window: fast parts, slow parts, and every level as a constant channel.
 * @param out where the [leads + conditions, window] values begin
 */
export function writeInput(
  out: Float32Array,
  at: number,
  {
    fast,
    slow,
    from,
    window,
  }: { fast: readonly Float64Array[]; slow: readonly Float64Array[]; from: number; window: number },
  contexts: readonly Context[],
): void {
  const leads = fast.length;
  for (let c = 0; c < leads; c++) {
    const unit = 1 / contexts[c]!.scale;
    const [first, second] = [at + c * window, at + (leads + c) * window];
    for (let i = 0; i < window; i++) {
      out[first + i] = fast[c]![from + i]! * unit;
      out[second + i] = Math.max(-20, Math.min(20, slow[c]![from + i]! * unit));
    }
    for (let l = 0; l < LEVELS; l++) {
      const start = at + (2 * leads + c * LEVELS + l) * window;
      out.fill(contexts[c]!.levels[l]!, start, start + window);
    }
  }
}
