/** Butterworth filters of order 2 as second-order sections, by the bilinear transform with prewarped edges. */

/** b0 b1 b2 a0 a1 a2 with a0 = 1. */
export type Section = readonly [number, number, number, number, number, number];
type Complex = readonly [number, number];

const add = (a: Complex, b: Complex): Complex => [a[0] + b[0], a[1] + b[1]];
const sub = (a: Complex, b: Complex): Complex => [a[0] - b[0], a[1] - b[1]];
const times = (a: Complex, b: Complex): Complex => [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]];
const over = (a: Complex, b: Complex): Complex => {
  const size = b[0] ** 2 + b[1] ** 2;
  return [(a[0] * b[0] + a[1] * b[1]) / size, (a[1] * b[0] - a[0] * b[1]) / size];
};
function root([re, im]: Complex): Complex {
  const size = Math.hypot(re, im);
  return [Math.sqrt((size + re) / 2), Math.sign(im || 1) * Math.sqrt((size - re) / 2)];
}

/** The upper pole of the analogue low-pass of order 2; the other is its conjugate. */
const PROTOTYPE: Complex = [-Math.SQRT1_2, Math.SQRT1_2];
/** Sampling rate of the design; edges are given as shares of the real one. */
const TWICE_RATE = 4;
const warped = (edge: number, rate: number): number => TWICE_RATE * Math.tan((Math.PI * edge) / rate);
const digital = (pole: Complex): Complex => over(add([TWICE_RATE, 0], pole), sub([TWICE_RATE, 0], pole));
/** 1 + a1 z^-1 + a2 z^-2 with this pole and its conjugate. */
const denominator = ([re, im]: Complex): [number, number, number] => [1, -2 * re, re * re + im * im];

/** Response of one section at the angle w, as a complex number. */
function response([b0, b1, b2, a0, a1, a2]: Section, w: number): Complex {
  const [z, zz]: Complex[] = [
    [Math.cos(w), -Math.sin(w)],
    [Math.cos(2 * w), -Math.sin(2 * w)],
  ] as [Complex, Complex];
  const polynomial = (c0: number, c1: number, c2: number): Complex => [
    c0 + c1 * z![0] + c2 * zz![0],
    c1 * z![1] + c2 * zz![1],
  ];
  return over(polynomial(b0, b1, b2), polynomial(a0, a1, a2));
}

/** The same sections with the response of size 1 at the angle w; the first one carries the factor. */
function scaled(sections: readonly Section[], w: number): Section[] {
  const total = sections.map((section) => response(section, w)).reduce(times);
  const factor = 1 / Math.hypot(...total);
  return sections.map((section, i) => {
    const [b0, b1, b2, ...a] = section;
    return i === 0 ? [b0 * factor, b1 * factor, b2 * factor, ...a] : section;
  });
}

/** High-pass with the edge in Hz. */
export function highPass(edge: number, rate: number): Section[] {
  const pole = over([warped(edge, rate), 0], PROTOTYPE);
  return scaled([[1, -2, 1, ...denominator(digital(pole))]], Math.PI);
}

/** Band-pass between two edges in Hz, of order 2 on either side. */
export function bandPass(low: number, high: number, rate: number): Section[] {
  const [from, to] = [warped(low, rate), warped(high, rate)];
  const centre = Math.sqrt(from * to);
  const half = times(PROTOTYPE, [(to - from) / 2, 0]);
  const spread = root(sub(times(half, half), [centre * centre, 0]));
  const poles = [add(half, spread), sub(half, spread)].map(digital);
  // The pole nearer to the unit circle belongs with the zeros at rate 0, and comes last.
  const sorted = poles.sort((a, b) => Math.hypot(...a) - Math.hypot(...b));
  const middle = 2 * Math.atan(centre / TWICE_RATE);
  return scaled(
    [
      [1, 2, 1, ...denominator(sorted[0]!)],
      [1, -2, 1, ...denominator(sorted[1]!)],
    ],
    middle,
  );
}
