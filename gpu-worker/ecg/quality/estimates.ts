/** Estimates of the signal-to-noise ratio from what the gate sees: linear maps fitted on validation data. */
import { leastSquares } from '../../../shared/math/least-squares.ts';
import { errorOf, type Gate, type GateWindow, openGate, PARTS } from '../denoise/gate.ts';

/** Coefficients in the order of `gateFeatures`, dB. */
type Estimates = { before: readonly number[]; after: readonly number[] };

const [LOWEST, HIGHEST] = [-20, 40];
const bounded = (value: number): number => Math.max(LOWEST, Math.min(HIGHEST, value));

export const estimate = (coefficients: readonly number[], features: readonly number[]): number =>
  bounded(features.reduce((sum, feature, i) => sum + feature * coefficients[i]!, 0));

/** The fast part without its correction, and all of the slow part: the signal as it came. */
const UNTOUCHED: readonly number[] = Array.from({ length: PARTS }, (_, part) => (part === 1 ? 0 : 1));

/** True ratios of every lead of every window, dB. */
export function trueRatios(windows: readonly GateWindow[], gate: Gate): { before: number[]; after: number[] } {
  const ratios = { before: [] as number[], after: [] as number[] };
  for (const { leads } of windows) {
    for (const { features, signal, products } of leads) {
      const decibels = (shares: readonly number[]) =>
        bounded(10 * Math.log10((signal + 1e-12) / Math.max(errorOf(products, shares), 1e-12)));
      ratios.before.push(decibels(UNTOUCHED));
      ratios.after.push(decibels([1, ...openGate(gate, features)]));
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
