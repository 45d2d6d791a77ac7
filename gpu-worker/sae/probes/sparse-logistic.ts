/** Logistic regression with an L1 penalty on sparse codes. */
import { powerIteration } from '../../../shared/math/power-iteration.ts';
import { sigmoid } from '../../../shared/math/special.ts';
import type { SparseCodes } from '../codes/sparse-codes.ts';

/** Iterations at most, and the share of the penalty by which the conditions of the optimum may be off at the end. */
const [ITERATIONS, SLACK] = [3000, 0.005];
/** The power iteration for the largest curvature, and the margin on what it finds from below. */
const POWER = { rounds: 200, tolerance: 1e-4, until: 'value' } as const;
const POWER_MARGIN = 1.1;

/** Calls `body(latent, value)` for the entries of a row, scaled. */
function entries(codes: SparseCodes, scale: Float64Array, row: number, body: (latent: number, value: number) => void) {
  for (let entry = codes.starts[row]!; entry < codes.starts[row + 1]!; entry++) {
    const latent = codes.latents[entry]!;
    body(latent, codes.values[entry]! * scale[latent]!);
  }
}

/** Latents brought to mean square 1 over the rows; 0 for those that never fire. A latent's sign plays no part. */
function unitScale(codes: SparseCodes, rows: readonly number[], width: number): Float64Array {
  const square = new Float64Array(width);
  const one = new Float64Array(width).fill(1);
  for (const row of rows) {
    entries(codes, one, row, (latent, value) => {
      square[latent]! += (value * value) / rows.length;
    });
  }
  return square.map((value) => (value > 0 ? 1 / Math.sqrt(value) : 0));
}

/** Largest eigenvalue of Z^T Z / n, a column of ones for the intercept included. */
function largestCurvature(codes: SparseCodes, scale: Float64Array, rows: readonly number[], width: number): number {
  const product = (v: Float64Array): Float64Array => {
    const next = new Float64Array(width + 1);
    for (const row of rows) {
      let dot = v[width]!;
      entries(codes, scale, row, (latent, value) => {
        dot += v[latent]! * value;
      });
      next[width]! += dot / rows.length;
      entries(codes, scale, row, (latent, value) => {
        next[latent]! += (dot * value) / rows.length;
      });
    }
    return next;
  };
  return powerIteration(product, new Float64Array(width + 1).fill(1), POWER).value;
}

/**
 * Weights (one per latent, for latents at mean square 1) that minimise the mean cross-entropy over `rows` plus
 * `l1` |weights|_1, the intercept free; by accelerated proximal gradient descent (Beck & Teboulle 2009). `y` by row, 0 or 1.
 * Null where the iterations end away from the optimum: their weights would rank latents by how far they had come.
 */
export function sparseLogistic(
  codes: SparseCodes,
  width: number,
  y: readonly number[],
  rows: readonly number[],
  l1: number,
): Float64Array | null {
  const scale = unitScale(codes, rows, width);
  // The curvature of the logistic loss is at most 1/4.
  const step = 4 / (POWER_MARGIN * largestCurvature(codes, scale, rows, width));
  let weights = new Float64Array(width + 1);
  let ahead = weights;
  for (let t = 1, iteration = 0; iteration < ITERATIONS; iteration++) {
    const gradient = new Float64Array(width + 1);
    for (const row of rows) {
      let a = ahead[width]!;
      entries(codes, scale, row, (latent, value) => {
        a += ahead[latent]! * value;
      });
      const error = (sigmoid(a) - y[row]!) / rows.length;
      gradient[width]! += error;
      entries(codes, scale, row, (latent, value) => {
        gradient[latent]! += error * value;
      });
    }
    const next = ahead.map((value, i) => {
      const moved = value - step * gradient[i]!;
      return i === width ? moved : Math.sign(moved) * Math.max(Math.abs(moved) - step * l1, 0);
    });
    const following = (1 + Math.sqrt(1 + 4 * t * t)) / 2;
    const inertia = (t - 1) / following;
    // A step of length 0 is the optimum; over the step size it is how far the slopes are from what the penalty allows.
    const off = next.reduce((most, value, i) => Math.max(most, Math.abs(value - ahead[i]!)), 0) / step;
    if (off <= SLACK * l1) {
      return next.slice(0, width);
    }
    ahead = next.map((value, i) => value + inertia * (value - weights[i]!));
    weights = next;
    t = following;
  }
  return null;
}
