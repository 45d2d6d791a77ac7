/** Linear probes: logistic regression on standardised columns. */
import { convergedLogistic } from '../../study/index.ts';

export type Probe = {
  /** One per column, for the columns as they are given. */
  weights: Float64Array;
  /** Whether each of the rows is taken for a member of the class; of `x` where the probe was trained on other values. */
  predict(rows: readonly number[], x?: Float64Array): boolean[];
};

const PROBE_L2 = 1e-3;

/** Columns with mean 0 and deviation 1 over the given rows: [rows of x, columns]. */
function standardised(x: Float64Array, width: number, rows: readonly number[]) {
  const [mean, deviation] = [new Float64Array(width), new Float64Array(width)];
  for (const row of rows) {
    for (let j = 0; j < width; j++) {
      mean[j]! += x[row * width + j]! / rows.length;
    }
  }
  for (const row of rows) {
    for (let j = 0; j < width; j++) {
      deviation[j]! += (x[row * width + j]! - mean[j]!) ** 2 / rows.length;
    }
  }
  const scale = deviation.map((value) => (value > 0 ? 1 / Math.sqrt(value) : 0));
  return { apply: (values: Float64Array) => values.map((v, i) => (v - mean[i % width]!) * scale[i % width]!), scale };
}

/** Raises `not_converged` where the regression does not arrive. @param y by row, 0 or 1 */
export function trainProbe(x: Float64Array, width: number, y: readonly number[], train: readonly number[]): Probe {
  const { apply, scale } = standardised(x, width, train);
  const own = apply(x);
  const beta = convergedLogistic({ x: own, y, d: width }, { rows: train, l2: PROBE_L2 });
  const predict = (rows: readonly number[], values = x) => {
    const given = values === x ? own : apply(values);
    return rows.map((row) => {
      let a = beta[width]!;
      for (let j = 0; j < width; j++) {
        a += beta[j]! * given[row * width + j]!;
      }
      return a > 0;
    });
  };
  return { weights: Float64Array.from({ length: width }, (_, j) => beta[j]! * scale[j]!), predict };
}

/** Share of rows that the probe takes for what they are. */
export function accuracyOf(probe: Probe, y: readonly number[], rows: readonly number[], x?: Float64Array): number {
  const right = probe.predict(rows, x).filter((yes, i) => yes === y[rows[i]!]! > 0.5).length;
  return right / rows.length;
}

/** Harmonic mean of precision and recall; 0 where nothing is found. */
export function f1Of(probe: Probe, y: readonly number[], rows: readonly number[]): number {
  let [hits, claimed, members] = [0, 0, 0];
  probe.predict(rows).forEach((yes, i) => {
    const member = y[rows[i]!]! > 0.5;
    if (yes) {
      claimed += 1;
    }
    if (member) {
      members += 1;
    }
    if (yes && member) {
      hits += 1;
    }
  });
  return hits === 0 ? 0 : (2 * hits) / (claimed + members);
}

/** Some columns of rows x width values. */
export const columns = (x: Float64Array, width: number, chosen: readonly number[]): Float64Array =>
  Float64Array.from({ length: (x.length / width) * chosen.length }, (_, at) => {
    const [row, j] = [Math.floor(at / chosen.length), at % chosen.length];
    return x[row * width + chosen[j]!]!;
  });
