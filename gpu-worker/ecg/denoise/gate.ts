/**
 * The gate behind the network: how much of its correction to take and how much of the slow part to keep, per window and
 * lead, from what is known of the noise there. Two logistic functions with few coefficients, fitted on validation data so
 * that the mean window SNR is largest; light noise is thereby left alone.
 */
import type { Context } from './context.ts';

/** Coefficients of both functions, in the order of `gateFeatures`. */
export type Gate = { correction: readonly number[]; slow: readonly number[] };

/** Numbers that the gate sees of one lead in one window. */
export const GATE_FEATURES = 10;
const FLOOR = 1e-6;

/**
 * @param window mean square of the network's correction in the window, relative to the squared scale
 * @param around the same, mean over the windows of the seconds around
 */
export function gateFeatures({ levels }: Context, window: number, around: number): number[] {
  const [here, near] = [Math.log(window + FLOOR) / 4, Math.log(around + FLOOR) / 4];
  return [
    1,
    ...levels.map((value) => value / 2),
    here,
    near,
    near * near,
    (levels[0] * levels[0]) / 4,
    (levels[0] * near) / 2,
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

export const openGate = (gate: Gate, features: readonly number[]): { correction: number; slow: number } => ({
  correction: logistic(dot(gate.correction, features)),
  slow: logistic(dot(gate.slow, features)),
});

/**
 * One lead of one window of the data that a gate is fitted on. With shares g of the correction c and h of the slow part l,
 * the error is |e + g c + h l|^2, e being that of the fast part alone: a quadratic form of these products. All are relative to
 * the power of the clean window over both leads; `signal` is that of this lead.
 */
type GateLead = {
  features: number[];
  signal: number;
  ee: number;
  ec: number;
  el: number;
  cc: number;
  cl: number;
  ll: number;
};
/** All leads of a window, which count together, and the error of leaving the window alone. */
export type GateWindow = { leads: GateLead[] };

const [FIT_STEPS, FIT_RATE, DECAY] = [800, 0.04, 1e-4];
/**
 * Where the fit begins: the slow part is kept where it is small and left out where it is large. From a share of one half
 * everywhere the fit can end with strong drift kept, where the logistic function is flat.
 */
const [START_SLOW, START_DRIFT] = [-1.4, -6];
/** Share of the signal's unit power below which an error counts no less. */
const SMALLEST = 1e-4;

/** Fits the gate by Adam on the mean logarithm of the windows' errors. */
export function fitGate(windows: readonly GateWindow[]): Gate {
  const size = 2 * GATE_FEATURES;
  const theta = new Float64Array(size);
  theta[GATE_FEATURES] = START_SLOW;
  theta[GATE_FEATURES + 1] = START_DRIFT;
  const [first, second] = [new Float64Array(size), new Float64Array(size)];
  for (let step = 1; step <= FIT_STEPS; step++) {
    const gradient = theta.map((value) => DECAY * value);
    for (const { leads } of windows) {
      let error = SMALLEST;
      const slopes = leads.map(({ features, ee, ec, el, cc, cl, ll }) => {
        let [u, v] = [0, 0];
        for (let i = 0; i < GATE_FEATURES; i++) {
          u += theta[i]! * features[i]!;
          v += theta[GATE_FEATURES + i]! * features[i]!;
        }
        const [g, h] = [logistic(u), logistic(v)];
        error += ee + 2 * g * ec + 2 * h * el + g * g * cc + 2 * g * h * cl + h * h * ll;
        return [
          (2 * ec + 2 * g * cc + 2 * h * cl) * g * (1 - g),
          (2 * el + 2 * g * cl + 2 * h * ll) * h * (1 - h),
        ] as const;
      });
      leads.forEach(({ features }, k) => {
        const [bySignal, bySlow] = slopes[k]!;
        for (let i = 0; i < GATE_FEATURES; i++) {
          gradient[i]! += (bySignal / error / windows.length) * features[i]!;
          gradient[GATE_FEATURES + i]! += (bySlow / error / windows.length) * features[i]!;
        }
      });
    }
    const rate = FIT_RATE * (1 - step / (FIT_STEPS + 1));
    for (let i = 0; i < size; i++) {
      first[i] = 0.9 * first[i]! + 0.1 * gradient[i]!;
      second[i] = 0.99 * second[i]! + 0.01 * gradient[i]! ** 2;
      const move = first[i]! / (1 - 0.9 ** step) / (Math.sqrt(second[i]! / (1 - 0.99 ** step)) + 1e-9);
      theta[i]! -= rate * move;
    }
  }
  return { correction: [...theta.subarray(0, GATE_FEATURES)], slow: [...theta.subarray(GATE_FEATURES)] };
}
