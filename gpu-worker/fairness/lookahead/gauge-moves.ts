/**
 * Moves of the latent variable and the coefficients together along which the likelihood does not change (generalised Gibbs,
 * Liu and Sabatti 2000): K + delta with intercepts less weight x delta, the same by an attribute's column, and s K with
 * weights / s. Drawn one at a time these pairs hold each other in place, and chains take thousands of sweeps to get anywhere.
 */
import type { RandomStream } from '../../../shared/math/random.ts';

/** Metropolis steps of the scale per sweep; each costs nothing. */
const SCALE_STEPS = 6;

/** Moves `k` (n) and every child's `coefficients` (intercept, p attributes, weight) in place. */
export function moveAlongGauges(
  k: Float64Array,
  coefficients: readonly Float64Array[],
  attributes: Float64Array,
  p: number,
  random: RandomStream,
): void {
  const n = k.length;
  const weightAt = p + 1;
  const squaredWeights = coefficients.reduce((sum, c) => sum + c[weightAt]! ** 2, 0);
  const normal = random.derive('shift').normal(p + 1);
  for (let j = 0; j <= p; j++) {
    // Everything else is quadratic in the shift, through the standard-normal priors alone: its draw is exact.
    const column = (i: number): number => (j === 0 ? 1 : attributes[i * p + j - 1]!);
    let [precision, pull] = [squaredWeights, 0];
    for (let i = 0; i < n; i++) {
      precision += column(i) ** 2;
      pull -= column(i) * k[i]!;
    }
    for (const c of coefficients) {
      pull += c[j]! * c[weightAt]!;
    }
    const shift = pull / precision + normal[j]! / Math.sqrt(precision);
    for (let i = 0; i < n; i++) {
      k[i]! += shift * column(i);
    }
    for (const c of coefficients) {
      c[j]! -= shift * c[weightAt]!;
    }
  }
  const [steps, accepts] = [random.derive('scale').normal(SCALE_STEPS), random.derive('accept').uniform(SCALE_STEPS)];
  const squaredK = k.reduce((sum, value) => sum + value ** 2, 0);
  const height = (logScale: number): number =>
    (n - coefficients.length) * logScale -
    (Math.exp(2 * logScale) * squaredK) / 2 -
    (Math.exp(-2 * logScale) * squaredWeights) / 2;
  let logScale = 0;
  for (let t = 0; t < SCALE_STEPS; t++) {
    const proposal = logScale + (2.4 * steps[t]!) / Math.sqrt(2 * n);
    if (Math.log(accepts[t]!) < height(proposal) - height(logScale)) {
      logScale = proposal;
    }
  }
  const scale = Math.exp(logScale);
  for (let i = 0; i < n; i++) {
    k[i]! *= scale;
  }
  for (const c of coefficients) {
    c[weightAt]! /= scale;
  }
}
