/** A Metropolis proposal for the coefficients of a Poisson regression: a draw around the mode of their posterior. */
import { cholesky, choleskySolve } from '../../../shared/math/cholesky.ts';
import { type Matrix, zeros } from '../../../shared/math/matrix.ts';
import type { RandomStream } from '../../../shared/math/random.ts';
import { drawFrom, gammaDraw } from './draws.ts';

/** Degrees of freedom of the proposal. */
const FREEDOM = 6;

/** Newton steps, and halvings of one, at most. */
const [STEPS, HALVINGS] = [100, 40];

/** Log posterior of coefficients under standard-normal priors, up to a constant. */
function logPosterior(design: Float64Array, counts: Float64Array, at: Float64Array): number {
  const width = at.length;
  let value = 0;
  for (const c of at) {
    value -= (c * c) / 2;
  }
  for (let i = 0; i < counts.length; i++) {
    let eta = 0;
    for (let a = 0; a < width; a++) {
      eta += at[a]! * design[i * width + a]!;
    }
    value += counts[i]! * eta - Math.exp(eta);
  }
  return value;
}

/** Slope of the negative log posterior, and the Cholesky factor of its Hessian. */
function curvature(
  design: Float64Array,
  counts: Float64Array,
  at: Float64Array,
): { slope: Float64Array; lower: Matrix } {
  const width = at.length;
  const hessian = zeros(width, width);
  const slope = at.slice();
  for (let i = 0; i < counts.length; i++) {
    let eta = 0;
    for (let a = 0; a < width; a++) {
      eta += at[a]! * design[i * width + a]!;
    }
    const rate = Math.exp(eta);
    for (let a = 0; a < width; a++) {
      const value = design[i * width + a]!;
      slope[a]! -= value * (counts[i]! - rate);
      for (let b = 0; b <= a; b++) {
        hessian.data[a * width + b]! += rate * value * design[i * width + b]!;
      }
    }
  }
  mirror(hessian, 1);
  for (let a = 0; a < width; a++) {
    hessian.data[a * width + a]! += 1;
  }
  return { slope, lower: cholesky(hessian) };
}

/**
 * A draw from a Student t with the mode and curvature of the posterior, and the log of its acceptance ratio against `current`. The posterior is log-concave:
 * Newton's steps, halved until they climb, reach its one mode from anywhere, so that the proposal does not depend on where
 * the chain stands. Its tails are heavier than the posterior's, so that no start is too far out to leave. Undamped, the exponential rate throws the first step beyond any number.
 */
export function proposePoisson(
  design: Float64Array,
  counts: Float64Array,
  current: Float64Array,
  random: RandomStream,
): { at: Float64Array; gain: number } {
  let mode = current.slice();
  let height = logPosterior(design, counts, mode);
  let { slope, lower } = curvature(design, counts, mode);
  for (let step = 0; step < STEPS; step++) {
    const move = choleskySolve(lower, slope);
    if (move.every((x) => Math.abs(x) < 1e-9)) {
      break;
    }
    let climbed = false;
    for (let scale = 1, halving = 0; halving < HALVINGS && !climbed; halving++, scale /= 2) {
      const trial = mode.map((x, a) => x - scale * move[a]!);
      const next = logPosterior(design, counts, trial);
      if (next > height) {
        [mode, height, climbed] = [trial, next, true];
      }
    }
    // At the top rounding lets no step climb.
    if (!climbed) {
      break;
    }
    ({ slope, lower } = curvature(design, counts, mode));
  }
  // Log density of the proposal at x, up to a constant: -(nu + d) / 2 ln(1 + |L^T (x - mode)|^2 / nu).
  const away = (x: Float64Array): number => {
    let total = 0;
    for (let a = 0; a < lower.rows; a++) {
      let value = 0;
      for (let b = a; b < lower.rows; b++) {
        value += lower.data[b * lower.rows + a]! * (x[b]! - mode[b]!);
      }
      total += value * value;
    }
    return ((FREEDOM + lower.rows) / 2) * Math.log1p(total / FREEDOM);
  };
  const spread = Math.sqrt(FREEDOM / (2 * gammaDraw(FREEDOM / 2, random.derive('tail'))));
  const at = drawFrom(
    mode,
    lower,
    random.normal(lower.rows).map((z) => z * spread),
  );
  const gain = logPosterior(design, counts, at) - logPosterior(design, counts, current) + away(at) - away(current);
  return { at, gain };
}

/** Completes a lower triangle, scaled. */
export function mirror({ rows, data }: Matrix, scale: number): void {
  for (let a = 0; a < rows; a++) {
    for (let b = 0; b <= a; b++) {
      const value = data[a * rows + b]! * scale;
      data[a * rows + b] = value;
      data[b * rows + a] = value;
    }
  }
}
