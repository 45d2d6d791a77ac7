/** Estimates of the signal-to-noise ratio from what the gate sees: linear maps fitted on validation data. */
import { leastSquares } from '../../../shared/math/least-squares.ts';
import type { Gate, GateWindow } from '../denoise/gate.ts';
import { openGate } from '../denoise/gate.ts';

/** Coefficients in the order of `gateFeatures`, dB. */
type Estimates = { before: readonly number[]; after: readonly number[] };

const [LOWEST, HIGHEST] = [-20, 40];
const bounded = (value: number): number => Math.max(LOWEST, Math.min(HIGHEST, value));

export const estimate = (coefficients: readonly number[], features: readonly number[]): number =>
  bounded(features.reduce((sum, feature, i) => sum + feature * coefficients[i]!, 0));

/** True ratios of every lead of every window, dB. */
export function trueRatios(windows: readonly GateWindow[], gate: Gate): { before: number[]; after: number[] } {
  const ratios = { before: [] as number[], after: [] as number[] };
  for (const { leads } of windows) {
    for (const { features, signal, ee, ec, el, cc, cl, ll } of leads) {
      const { correction: g, slow: h } = openGate(gate, features);
      const decibels = (error: number) => bounded(10 * Math.log10((signal + 1e-12) / Math.max(error, 1e-12)));
      ratios.before.push(decibels(ee + 2 * el + ll));
      ratios.after.push(decibels(ee + 2 * g * ec + 2 * h * el + g * g * cc + 2 * g * h * cl + h * h * ll));
    }
  }
  return ratios;
}

export function fitEstimates(windows: readonly GateWindow[], gate: Gate): Estimates {
  const ratios = trueRatios(windows, gate);
  const rows = windows.flatMap(({ leads }) => leads.map(({ features }) => features.slice(1)));
  const width = rows[0]!.length;
  const x = Float64Array.from(rows.flat());
  const coefficientsOf = (values: readonly number[]): number[] => {
    const { intercept, coefficients } = leastSquares(x, values, width, { ridge: 1e-6 });
    return [intercept, ...coefficients];
  };
  return { before: coefficientsOf(ratios.before), after: coefficientsOf(ratios.after) };
}

/** Pearson's correlation. */
export function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [ma, mb] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    ma += a[i]! / a.length;
    mb += b[i]! / a.length;
  }
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += (a[i]! - ma) * (b[i]! - mb);
    aa += (a[i]! - ma) ** 2;
    bb += (b[i]! - mb) ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}
