/**
 * Sampling rates changed by a rational factor with one windowed sinc per phase (polyphase; Kaiser window of 5, ten
 * zero crossings on either side, as scipy's `resample_poly`). Ends are extended by their own value.
 */

/** Output samples per input samples, in lowest terms. */
type Ratio = { up: number; down: number };

/** Error of a rate that is approximated: below a thousandth of a sample in a day. */
const RATIO_ERROR = 1e-11;
const LARGEST_TERM = 100_000;

/** The ratio `to` / `from` by continued fractions; exact for rates with few decimals. */
export function ratioOf(from: number, to: number): Ratio {
  const wanted = to / from;
  let [above, below, aboveBefore, belowBefore] = [1, 0, 0, 1];
  let rest = wanted;
  for (;;) {
    const whole = Math.floor(rest);
    const next = [whole * above + aboveBefore, whole * below + belowBefore] as const;
    if (below > 0 && Math.max(...next) > LARGEST_TERM) {
      break;
    }
    [aboveBefore, belowBefore, above, below] = [above, below, ...next];
    if (Math.abs(above / below - wanted) <= RATIO_ERROR * wanted || rest === whole) {
      break;
    }
    rest = 1 / (rest - whole);
  }
  return { up: above, down: below };
}

const CROSSINGS = 10;
const KAISER = 5;

/** Modified Bessel function of the first kind and order 0, by its series. */
function bessel(x: number): number {
  let [sum, term] = [1, 1];
  for (let k = 1; term > 1e-17 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

export class Resampler {
  readonly ratio: Ratio;
  /** Input samples on either side that one output depends on. */
  readonly reach: number;
  readonly #taps: Float64Array;
  readonly #half: number;

  constructor(from: number, to: number) {
    this.ratio = ratioOf(from, to);
    const { up, down } = this.ratio;
    const widest = Math.max(up, down);
    this.#half = CROSSINGS * widest;
    this.reach = Math.ceil(this.#half / up) + 1;
    const taps = new Float64Array(2 * this.#half + 1);
    for (let i = 0; i < taps.length; i++) {
      const t = i - this.#half;
      const sinc = t === 0 ? 1 : Math.sin((Math.PI * t) / widest) / ((Math.PI * t) / widest);
      taps[i] = sinc * bessel(KAISER * Math.sqrt(1 - (t / this.#half) ** 2));
    }
    const sum = taps.reduce((a, b) => a + b, 0);
    this.#taps = taps.map((tap) => (tap * up) / sum);
  }

  /** Samples that a signal of `n` samples becomes. */
  lengthOf(n: number): number {
    return Math.ceil((n * this.ratio.up) / this.ratio.down);
  }

  /**
   * Outputs `from` up to `to` of a signal of which `x` holds what begins at input `start`.
   * @param total length of the whole signal, at whose ends values repeat
   */
  range(x: ArrayLike<number>, start: number, total: number, [from, to]: readonly [number, number]): Float64Array {
    const { up, down } = this.ratio;
    const out = new Float64Array(to - from);
    if (up === down) {
      for (let i = 0; i < out.length; i++) {
        out[i] = x[from + i - start]!;
      }
      return out;
    }
    for (let m = from; m < to; m++) {
      const centre = m * down;
      const first = Math.ceil((centre - this.#half) / up);
      const last = Math.floor((centre + this.#half) / up);
      let sum = 0;
      for (let j = first; j <= last; j++) {
        const at = Math.min(Math.max(j, 0), total - 1) - start;
        sum += x[at]! * this.#taps[centre - j * up + this.#half]!;
      }
      out[m - from] = sum;
    }
    return out;
  }

  /** A whole signal. */
  all(x: ArrayLike<number>): Float64Array {
    return this.range(x, 0, x.length, [0, this.lengthOf(x.length)]);
  }
}
