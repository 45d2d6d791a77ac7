/**
 * Moves along the ridge between two children: one weight times s, the other by s, each child's variance (a count's level)
 * changed so that its spread (its mean) stays. Where two children have little in common with the others, only the product of
 * their weights is known, and steps given K are 1 / sqrt(n) long on a ridge that may be as long as the prior. Here everybody's
 * K is carried along at its standardised place in its own posterior, as if it were integrated out (non-centred:
 * Papaspiliopoulos, Roberts and Skoeld 2007); these steps are as long as the ridge.
 */
import type { RandomStream } from '../../../shared/math/random.ts';
import { type Approximation, type LatentData, LatentPosterior } from './latent-posterior.ts';

/** Moves per sweep. */
const MOVES = 6;
/** Standard deviations of the logarithm of s, taken in turn: ridges are long and short. */
const STEPS = [0.05, 0.3];

/** A place in a chain: what the sampler moves about. */
type Place = { k: Float64Array; coefficients: Float64Array[]; variances: number[] };
type Seen = Approximation & { posterior: LatentPosterior };

/** Moves the place in place; children whose variance is `fixed` are left alone. */
export function moveAlongRidges(data: LatentData, place: Place, fixed: readonly boolean[], random: RandomStream): void {
  const free = fixed.flatMap((is, c) => (is ? [] : [c]));
  if (free.length < 2) {
    return;
  }
  const steps = random.derive('step').normal(MOVES);
  const [picks, accepts] = [random.derive('pick').uniform(2 * MOVES), random.derive('accept').uniform(MOVES)];
  let from = look(data, place);
  for (let t = 0; t < MOVES; t++) {
    const first = Math.floor(picks[2 * t]! * free.length);
    const second = (first + 1 + Math.floor(picks[2 * t + 1]! * (free.length - 1))) % free.length;
    const scale = Math.exp(STEPS[t % STEPS.length]! * steps[t]!);
    const next = rescaled(data, rescaled(data, place, free[first]!, scale), free[second]!, 1 / scale);
    if (next.variances.some((variance) => !(variance > 0))) {
      continue;
    }
    const to = look(data, next);
    for (let i = 0; i < data.n; i++) {
      next.k[i] = to.mode[i]! + (place.k[i]! - from.mode[i]!) * Math.sqrt(from.precision[i]! / to.precision[i]!);
    }
    // the change of the coefficients has determinant 1; that of K is the ratio of its spreads
    if (Math.log(accepts[t]!) < height(data, next, to, fixed) - height(data, place, from, fixed)) {
      place.k.set(next.k);
      for (const [c, own] of place.coefficients.entries()) {
        own.set(next.coefficients[c]!);
        place.variances[c] = next.variances[c]!;
      }
      from = to;
    }
  }
}

function look(data: LatentData, place: Place): Seen {
  const posterior = new LatentPosterior(data, place);
  return { posterior, ...posterior.approximation() };
}

/** The place with child c's weight multiplied; its variance may have become negative. */
function rescaled({ children, p }: LatentData, place: Place, c: number, scale: number): Place {
  const coefficients = place.coefficients.map((own) => own.slice());
  const variances = [...place.variances];
  const own = coefficients[c]!;
  const before = own[p + 1]! ** 2;
  own[p + 1]! *= scale;
  const lost = before - own[p + 1]! ** 2;
  if (children[c]!.family === 'gaussian') {
    variances[c]! += lost;
  } else {
    own[0]! += lost / 2;
  }
  return { k: place.k.slice(), coefficients, variances };
}

/** Log density of the place, with that of K in units of its spreads. */
function height(
  { children, p, n }: LatentData,
  { k, coefficients, variances }: Place,
  { posterior, precision }: Seen,
  fixed: readonly boolean[],
): number {
  let value = 0;
  for (const [c, { family }] of children.entries()) {
    value -= (coefficients[c]![p + 1]! ** 2 + coefficients[c]![0]! ** 2) / 2;
    if (family === 'gaussian' && !fixed[c]) {
      // inverse-gamma(1, 1), and the variance's part of the likelihood
      value -= (2 + n / 2) * Math.log(variances[c]!) + 1 / variances[c]!;
    }
  }
  for (let i = 0; i < n; i++) {
    value -= posterior.energy(i, k[i]!) + Math.log(precision[i]!) / 2;
  }
  return value;
}
