/**
 * The gate behind the network: how much of its correction to take and how much of each slow band to keep, per window and
 * lead, from what is known of the noise there. A network of one small layer, fitted on validation data so that the mean
 * window SNR is largest; light noise is thereby left alone.
 */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { stream } from '../../../shared/math/random.ts';
import type { Context } from './context.ts';
import { BANDS, type BandLevels } from './slow-bands.ts';

/**
 * `hidden`: rows of coefficients in the order of `gateFeatures`, each under a hyperbolic tangent; `shares`: of the
 * correction and of every slow band, a constant and coefficients of the hidden values, each under a logistic function.
 */
export type Gate = { hidden: readonly (readonly number[])[]; shares: readonly (readonly number[])[] };

/** Numbers that the gate sees of one lead in one window. */
export const GATE_FEATURES: number = 7 + 2 * BANDS;
export const GATE_HIDDEN = 8;
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
  return [
    1,
    between / 2,
    size / 2,
    all / 2,
    here,
    around,
    around * around,
    ...near.map((value) => value / 2),
    ...wide.map((value) => value / 2),
  ];
}

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

/** Shares of the correction and of every slow band. */
export function openGate({ hidden, shares }: Gate, features: readonly number[]): number[] {
  const values = hidden.map((row) => Math.tanh(row.reduce((sum, weight, i) => sum + weight * features[i]!, 0)));
  return shares.map(([constant, ...weights]) =>
    logistic(weights.reduce((sum, weight, i) => sum + weight * values[i]!, constant!)),
  );
}

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

const [FIT_STEPS, FIT_BATCH, FIT_RATE, DECAY] = [1200, 2000, 0.03, 2e-3];
/** Share of the signal's unit power below which an error counts no less. */
const SMALLEST = 1e-4;
/**
 * Further weight of windows that were better off without their slow part. People differ in drift of their own by ten times,
 * and a filter that is never far worse than a high-pass is worth more than a better mean.
 */
const CAUTION = 1;
const SEED = 1;
const CLOSED = new Array<number>(BANDS).fill(0);
const [F, H, S] = [GATE_FEATURES, GATE_HIDDEN, PARTS - 1];

/**
 * Fits the gate by Adam on the mean logarithm of the windows' errors, over features of mean 0 and deviation 1. Raises
 * `not_converged` where the descent ends above where it began.
 */
export function fitGate(windows: readonly GateWindow[]): Gate {
  const { means, deviations } = featureMoments(windows);
  const scaled = windows.map(({ leads }) => ({
    leads: leads.map((lead) => ({
      ...lead,
      features: lead.features.map((value, i) => (value - means[i]!) / deviations[i]!),
    })),
  }));
  const size = H * F + S * (H + 1);
  const theta = stream(SEED, 'gate/start').normal(size, { deviation: 0.3 });
  const order = stream(SEED, 'gate/order');
  const begun = cautiousLogError(theta, scaled);
  const [first, second] = [new Float64Array(size), new Float64Array(size)];
  const count = Math.min(FIT_BATCH, scaled.length);
  for (let step = 1; step <= FIT_STEPS; step++) {
    const gradient = theta.map((value) => DECAY * value);
    const chosen = order.uniform(count, { start: step * count });
    for (const u of chosen) {
      addGradient(gradient, theta, scaled[Math.floor(u * scaled.length)]!, 1 / count);
    }
    const rate = FIT_RATE * (1 - step / (FIT_STEPS + 1));
    for (let i = 0; i < size; i++) {
      first[i] = 0.9 * first[i]! + 0.1 * gradient[i]!;
      second[i] = 0.99 * second[i]! + 0.01 * gradient[i]! ** 2;
      const move = first[i]! / (1 - 0.9 ** step) / (Math.sqrt(second[i]! / (1 - 0.99 ** step)) + 1e-9);
      theta[i]! -= rate * move;
    }
  }
  const ended = cautiousLogError(theta, scaled);
  if (!(ended <= begun)) {
    throw new SextantError(
      'not_converged',
      `the gate behind the network did not learn: the mean logarithm of the error went from ${begun.toFixed(3)} to ${ended.toFixed(3)} on ${windows.length} windows; train for more steps, or look at the recordings and noises for values out of range`,
    );
  }
  const hidden = Array.from({ length: H }, (_, h) => {
    const [constant, ...slopes] = [...theta.subarray(h * F, (h + 1) * F)].map((value, i) => value / deviations[i]!);
    return [slopes.reduce((sum, slope, i) => sum - slope * means[i + 1]!, constant!), ...slopes];
  });
  const shares = Array.from({ length: S }, (_, s) => [
    ...theta.subarray(H * F + s * (H + 1), H * F + (s + 1) * (H + 1)),
  ]);
  return { hidden, shares };
}

/** Mean and deviation of every feature; the first, which is 1 everywhere, is left as it is. */
function featureMoments(windows: readonly GateWindow[]): { means: number[]; deviations: number[] } {
  const rows = windows.flatMap(({ leads }) => leads.map(({ features }) => features));
  const over = (of: (row: readonly number[]) => number) => rows.reduce((sum, row) => sum + of(row), 0) / rows.length;
  const [means, deviations] = [[0], [1]];
  for (let i = 1; i < F; i++) {
    const mean = over((row) => row[i]!);
    means.push(mean);
    deviations.push(Math.sqrt(over((row) => (row[i]! - mean) ** 2)) || 1);
  }
  return { means, deviations };
}

/** What a gate with these parameters makes of a lead's features: its hidden values, and the shares of all parts. */
function gatePass(theta: Float64Array, features: readonly number[]): { hidden: Float64Array; shares: Float64Array } {
  const hidden = new Float64Array(H);
  for (let h = 0; h < H; h++) {
    let sum = 0;
    for (let i = 0; i < F; i++) {
      sum += theta[h * F + i]! * features[i]!;
    }
    hidden[h] = Math.tanh(sum);
  }
  const shares = new Float64Array(PARTS).fill(1);
  for (let s = 0; s < S; s++) {
    const at = H * F + s * (H + 1);
    let sum = theta[at]!;
    for (let h = 0; h < H; h++) {
      sum += theta[at + 1 + h]! * hidden[h]!;
    }
    shares[s + 1] = logistic(sum);
  }
  return { hidden, shares };
}

/** What the descent lowers: the mean logarithm of the windows' errors, with what they exceed a closed gate by. */
function cautiousLogError(theta: Float64Array, windows: readonly GateWindow[]): number {
  let mean = 0;
  for (const { leads } of windows) {
    let [error, closed] = [SMALLEST, SMALLEST];
    for (const { features, products } of leads) {
      const { shares } = gatePass(theta, features);
      error += errorOf(products, [...shares]);
      closed += errorOf(products, [1, shares[1]!, ...CLOSED]);
    }
    mean += (Math.log(error) + CAUTION * Math.max(0, Math.log(error / closed))) / windows.length;
  }
  return mean;
}

/** Adds the gradient of the logarithm of one window's error. */
function addGradient(gradient: Float64Array, theta: Float64Array, { leads }: GateWindow, weight: number): void {
  let [error, closed] = [SMALLEST, SMALLEST];
  const passes = leads.map(({ features, products }) => {
    const { hidden, shares } = gatePass(theta, features);
    const slopes = new Float64Array(S);
    closed += errorOf(products, [1, shares[1]!, ...CLOSED]);
    for (let i = 0; i < PARTS; i++) {
      let sum = 0;
      for (let j = 0; j < PARTS; j++) {
        sum += products[i * PARTS + j]! * shares[j]!;
      }
      error += shares[i]! * sum;
      if (i > 0) {
        slopes[i - 1] = 2 * sum * shares[i]! * (1 - shares[i]!);
      }
    }
    return { features, hidden, slopes };
  });
  const factor = (weight * (error > closed ? 1 + CAUTION : 1)) / error;
  for (const { features, hidden, slopes } of passes) {
    const back = new Float64Array(H);
    for (let s = 0; s < S; s++) {
      const at = H * F + s * (H + 1);
      const slope = factor * slopes[s]!;
      gradient[at]! += slope;
      for (let h = 0; h < H; h++) {
        gradient[at + 1 + h]! += slope * hidden[h]!;
        back[h]! += slope * theta[at + 1 + h]!;
      }
    }
    for (let h = 0; h < H; h++) {
      const slope = back[h]! * (1 - hidden[h]! ** 2);
      for (let i = 0; i < F; i++) {
        gradient[h * F + i]! += slope * features[i]!;
      }
    }
  }
}
