/** Special functions of the tests and intervals: gamma, normal, beta and binomial tails. */

const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** ln Gamma(x) for x > 0 (Lanczos, g = 7, nine terms; about 1e-15 relative). */
export function logGamma(x: number): number {
  if (!(x > 0)) {
    throw new RangeError(`logGamma needs x > 0, got ${x}`);
  }
  if (x < 0.5) {
    return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  }
  const z = x - 1;
  let sum = LANCZOS[0]!;
  for (let i = 1; i < LANCZOS.length; i++) {
    sum += LANCZOS[i]! / (z + i);
  }
  const t = z + 7.5;
  return 0.5 * Math.log(2 * Math.PI) + (z + 0.5) * Math.log(t) - t + Math.log(sum);
}

/** Error function: its Maclaurin series below 2, 1 - erfc above. */
export function erf(x: number): number {
  if (Math.abs(x) >= 2) {
    return x < 0 ? erfc(-x) - 1 : 1 - erfc(x);
  }
  let [term, sum] = [x, x];
  for (let n = 1; n < 200 && Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/** Complementary error function: 1 - erf below 2, its continued fraction (modified Lentz) above. */
export function erfc(x: number): number {
  if (x < 0) {
    return 2 - erfc(-x);
  }
  if (x < 2) {
    return 1 - erf(x);
  }
  if (x > 27) {
    return 0;
  }
  let [f, c, d] = [x, x, 0];
  for (let n = 1; n < 500; n++) {
    d = 1 / (x + (n / 2) * d);
    c = x + n / 2 / c;
    f *= c * d;
    if (Math.abs(c * d - 1) < 1e-16) {
      break;
    }
  }
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * f);
}

/** Phi(x), the standard normal distribution function. */
export const normalCdf = (x: number): number => erfc(-x / Math.SQRT2) / 2;

/** Inverse of `normalCdf`: Acklam's rational approximation with one Halley step. -Infinity at 0, Infinity at 1. */
export function normalQuantile(p: number): number {
  if (!(p >= 0 && p <= 1)) {
    throw new RangeError(`a probability lies in [0, 1], got ${p}`);
  }
  if (p === 0 || p === 1) {
    return p === 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  const tail = (q: number): number =>
    (((((-7.784894002430293e-3 * q - 0.3223964580411365) * q - 2.400758277161838) * q - 2.549732539343734) * q +
      4.374664141464968) *
      q +
      2.938163982698783) /
    ((((7.784695709041462e-3 * q + 0.3224671290700398) * q + 2.445134137142996) * q + 3.754408661907416) * q + 1);
  let x: number;
  if (p < 0.02425) {
    x = tail(Math.sqrt(-2 * Math.log(p)));
  } else if (p > 1 - 0.02425) {
    x = -tail(Math.sqrt(-2 * Math.log(1 - p)));
  } else {
    const q = p - 0.5;
    const r = q * q;
    x =
      ((((((-39.69683028665376 * r + 220.9460984245205) * r - 275.9285104469687) * r + 138.357751867269) * r -
        30.66479806614716) *
        r +
        2.506628277459239) *
        q) /
      (((((-54.47609879822406 * r + 161.5858368580409) * r - 155.6989798598866) * r + 66.80131188771972) * r -
        13.28068155288572) *
        r +
        1);
  }
  const error = normalCdf(x) - p;
  const step = error * Math.sqrt(2 * Math.PI) * Math.exp((x * x) / 2);
  return x - step / (1 + (x * step) / 2);
}

/** P(Bin(n, p) <= k), summed exactly from the smaller tail's terms in logarithms. */
export function binomialCdf(k: number, n: number, p: number): number {
  if (!Number.isSafeInteger(n) || n < 0) {
    throw new RangeError(`a binomial needs a whole n from 0, got ${n}`);
  }
  if (k < 0) {
    return 0;
  }
  if (k >= n) {
    return 1;
  }
  if (k > n * p) {
    return 1 - binomialCdf(n - Math.floor(k) - 1, n, 1 - p);
  }
  if (p === 0) {
    return 1;
  }
  // From the largest term downwards: the ratio of neighbours is exact, and small terms stop mattering.
  const top = Math.floor(k);
  let term = Math.exp(
    logGamma(n + 1) - logGamma(top + 1) - logGamma(n - top + 1) + top * Math.log(p) + (n - top) * Math.log1p(-p),
  );
  let sum = 0;
  for (let i = top; i >= 0 && term > sum * 1e-18; i--) {
    sum += term;
    term *= (i / (n - i + 1)) * ((1 - p) / p);
  }
  return Math.min(1, sum);
}

/** sigma(x) = 1 / (1 + e^-x) without overflow. */
export const sigmoid = (x: number): number => {
  if (x >= 0) {
    return 1 / (1 + Math.exp(-x));
  }
  const e = Math.exp(x);
  return e / (1 + e);
};

/** ln(1 + e^x) without overflow. */
export const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
