/**
 * The gate behind the network: how much of its correction to take and how much of each slow band to keep, per window and
 * lead, from what is known of the noise there. Logistic functions with few coefficients, fitted on validation data so that
 * the mean window SNR is largest; light noise is thereby left alone.
 */
import type { Context } from './context.ts';
import { BANDS, type BandLevels } from './slow-bands.ts';

/** Coefficients in the order of `gateFeatures`, of the correction's share and of that of every slow band. */
export type Gate = { correction: readonly number[]; slow: readonly (readonly number[])[] };

/** Numbers that the gate sees of one lead in one window. */
export const GATE_FEATURES: number = 9 + 2 * BANDS;
const FLOOR = 1e-6;

type Correction = {
  /** Mean square of the network's correction in the window, relative to the squared scale. */
  window: number;
  /** The same, mean over the windows of the seconds around. */
  around: number;
};

export function gateFeatures({ levels }: Context, { near, wide }: BandLevels, correction: Correction): number[] {
  const [here, around] = [Math.log(correction.window + FLOOR) / 4, Math.log(correction.around + FLOOR) / 4];
  const [, between, size, all] = levels;
  const main = near[1]! / 2;
  return [
    1,
    between / 2,
    size / 2,
    all / 2,
    here,
    around,
    around * around,
    main * around,
    main * main,
    ...near.map((value) => value / 2),
    ...wide.map((value) => value / 2),
  ];
}

const dot = (a: readonly number[], b: readonly number[]): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    sum += a[i]! * b[i]!;
  }
  return sum;
};
const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

export const openGate = (gate: Gate, features: readonly number[]): { correction: number; slow: number[] } => ({
  correction: logistic(dot(gate.correction, features)),
  slow: gate.slow.map((coefficients) => logistic(dot(coefficients, features))),
});

/** What an output is made of: the error of the fast part alone, the correction, and the slow bands. */
export const PARTS: number = 2 + BANDS;
/**
 * One lead of one window of the data that a gate is fitted on. With shares s of the parts after the first the error is
 * |e + s1 c + s2 l1 + ...|^2, a quadratic form of their products, [PARTS, PARTS]. These are relative to the power of the
 * clean window over both leads; `signal` is that of this lead.
 */
type GateLead = { features: number[]; signal: number; products: Float64Array };
/** All leads of a window, which count together. */
export type GateWindow = { leads: GateLead[] };

/** The error with these shares, the first of them 1. */
export function errorOf(products: Float64Array, shares: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < PARTS; i++) {
    for (let j = 0; j < PARTS; j++) {
      sum += products[i * PARTS + j]! * shares[i]! * shares[j]!;
    }
  }
  return sum;
}
export const sharesOf = ({ correction, slow }: { correction: number; slow: readonly number[] }): number[] => [
  1,
  correction,
  ...slow,
];

const [FIT_STEPS, FIT_RATE, DECAY] = [600, 0.04, 1e-3];
/**
 * Where the fit begins: a slow band is kept where it is small and left out where it is large. From a share of one half
 * everywhere the fit can end with strong drift kept, where the logistic function is flat.
 */
const [START_SLOW, START_DRIFT] = [-1.4, -4];
/** Where the sizes of the bands in the seconds around begin among the features. */
const NEAR = 9;
/** Share of the signal's unit power below which an error counts no less. */
const SMALLEST = 1e-4;

/** Fits the gate by Adam on the mean logarithm of the windows' errors. */
export function fitGate(windows: readonly GateWindow[]): Gate {
  const F = GATE_FEATURES;
  const size = (PARTS - 1) * F;
  const theta = new Float64Array(size);
  for (let band = 0; band < BANDS; band++) {
    theta[(1 + band) * F] = START_SLOW;
    theta[(1 + band) * F + NEAR + band] = START_DRIFT;
  }
  const [first, second] = [new Float64Array(size), new Float64Array(size)];
  for (let step = 1; step <= FIT_STEPS; step++) {
    const gradient = theta.map((value) => DECAY * value);
    for (const window of windows) {
      addGradient(gradient, theta, window, 1 / windows.length);
    }
    const rate = FIT_RATE * (1 - step / (FIT_STEPS + 1));
    for (let i = 0; i < size; i++) {
      first[i] = 0.9 * first[i]! + 0.1 * gradient[i]!;
      second[i] = 0.99 * second[i]! + 0.01 * gradient[i]! ** 2;
      const move = first[i]! / (1 - 0.9 ** step) / (Math.sqrt(second[i]! / (1 - 0.99 ** step)) + 1e-9);
      theta[i]! -= rate * move;
    }
  }
  const row = (part: number) => [...theta.subarray(part * F, (part + 1) * F)];
  return { correction: row(0), slow: Array.from({ length: BANDS }, (_, band) => row(1 + band)) };
}

/** Adds the gradient of one window's logarithm. */
function addGradient(gradient: Float64Array, theta: Float64Array, { leads }: GateWindow, weight: number): void {
  const F = GATE_FEATURES;
  let error = SMALLEST;
  const slopes = leads.map(({ features, products }) => {
    const shares = new Float64Array(PARTS).fill(1);
    for (let part = 1; part < PARTS; part++) {
      let sum = 0;
      for (let i = 0; i < F; i++) {
        sum += theta[(part - 1) * F + i]! * features[i]!;
      }
      shares[part] = logistic(sum);
    }
    const slope = new Float64Array(PARTS - 1);
    for (let i = 0; i < PARTS; i++) {
      let sum = 0;
      for (let j = 0; j < PARTS; j++) {
        sum += products[i * PARTS + j]! * shares[j]!;
      }
      error += shares[i]! * sum;
      if (i > 0) {
        slope[i - 1] = 2 * sum * shares[i]! * (1 - shares[i]!);
      }
    }
    return slope;
  });
  for (const [k, { features }] of leads.entries()) {
    for (let part = 0; part < PARTS - 1; part++) {
      const factor = (weight * slopes[k]![part]!) / error;
      for (let i = 0; i < F; i++) {
        gradient[part * F + i]! += factor * features[i]!;
      }
    }
  }
}
