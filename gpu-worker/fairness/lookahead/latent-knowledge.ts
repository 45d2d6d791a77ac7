/**
 * The latent-knowledge model of the law-school study (Kusner et al. 2017): one latent K ~ N(0, 1) per person behind a
 * Gaussian or Poisson score each and a Gaussian status, all linear in K and in observed attributes. Fitted by Gibbs
 * sampling: conjugate draws for the Gaussian parts, Laplace-proposal Metropolis steps for the Poisson part and for K.
 */

import { SextantError } from '../../../shared/contracts/problem.ts';
import { cholesky, choleskySolve } from '../../../shared/math/cholesky.ts';
import { type Matrix, zeros } from '../../../shared/math/matrix.ts';
import { stream } from '../../../shared/math/random.ts';

type LatentChild = { name: string; family: 'gaussian' | 'poisson'; values: Float64Array };
/** `attributes` (n x p, row-major) holds no constant: the intercept is added. The status is one more Gaussian child. */
type LatentData = { children: readonly LatentChild[]; attributes: Float64Array; p: number; n: number };
type LatentSampling = {
  burnIn: number;
  samples: number;
  thin: number;
  seed: number;
  /** Children with a fixed residual variance, by name (the study fixes the status's at 1). */
  fixedVariance?: Readonly<Record<string, number>>;
  /** Keep draws of K (n x samples, person-major) as single-precision numbers. */
  keepLatent?: boolean;
  onSweep?: (sweep: number, sweeps: number) => void;
};

/** Per child: intercept, attribute coefficients (p), weight of K; `variance` for Gaussian children. */
export type ChildDraw = { coefficients: Float64Array; variance: number };
export type LatentFit = {
  /** Posterior means of every child's parameters. */
  children: {
    name: string;
    family: 'gaussian' | 'poisson';
    intercept: number;
    attributes: number[];
    weight: number;
    variance: number | null;
    deviation: number[];
  }[];
  latentMean: Float64Array;
  latentVariance: Float64Array;
  draws: Float32Array | null;
  samples: number;
  /** Acceptance rates of the Metropolis steps. */
  acceptance: { latent: number; poisson: number };
};

/** Standard-normal priors on coefficients, inverse-gamma(1, 1) on variances. Raises `data_invalid` for counts below 0. */
export function fitLatentKnowledge(data: LatentData, given: Partial<LatentSampling> = {}): LatentFit {
  const { burnIn = 300, samples = 500, thin = 1, seed = 0, fixedVariance = {}, keepLatent = false, onSweep } = given;
  const { children, attributes, p, n } = data;
  const width = p + 2;
  for (const { name, family, values } of children) {
    if (values.length !== n)
      throw new SextantError('data_invalid', `${name} has ${values.length} values for ${n} rows`);
    if (family === 'poisson' && values.some((v) => !(Number.isInteger(v) && v >= 0))) {
      throw new SextantError('data_invalid', `${name} must hold whole numbers from 0 to be a Poisson count`);
    }
  }
  const random = stream(seed, 'latent-knowledge');
  const coefficients = children.map(({ family, values }) => {
    const c = new Float64Array(width);
    const mean = values.reduce((sum, v) => sum + v, 0) / n;
    c[0] = family === 'poisson' ? Math.log(Math.max(mean, 1e-3)) : mean;
    c[width - 1] = family === 'poisson' ? 0.1 : 0.5;
    return c;
  });
  const variances = children.map(({ name }) => fixedVariance[name] ?? 1);
  const k = startingLatent(children[0]!.values);
  const [sum, square] = [new Float64Array(n), new Float64Array(n)];
  const draws = keepLatent ? new Float32Array(n * samples) : null;
  const totals = children.map(() => ({ first: new Float64Array(width + 1), second: new Float64Array(width + 1) }));
  let [latentAccepted, poissonAccepted, poissonTried, kept] = [0, 0, 0, 0];
  const sweeps = burnIn + samples * thin;
  const row = new Float64Array(width);
  row[0] = 1;
  const setRow = (i: number): void => {
    for (let j = 0; j < p; j++) row[j + 1] = attributes[i * p + j]!;
    row[width - 1] = k[i]!;
  };
  const offsetOf = (c: Float64Array, i: number): number => {
    let value = c[0]!;
    for (let j = 0; j < p; j++) value += c[j + 1]! * attributes[i * p + j]!;
    return value;
  };

  for (let sweep = 0; sweep < sweeps; sweep++) {
    const own = random.derive(sweep);
    // K of every person: Newton to the mode from where it stands, then an independence proposal from the Laplace fit.
    const normal = own.derive('k').normal(n);
    const uniform = own.derive('accept').uniform(n);
    const offsets = coefficients.map((c) => Float64Array.from({ length: n }, (_, i) => offsetOf(c, i)));
    const energy = (i: number, at: number): number => {
      let value = (at * at) / 2;
      for (let c = 0; c < children.length; c++) {
        const weight = coefficients[c]![width - 1]!;
        const eta = offsets[c]![i]! + weight * at;
        const x = children[c]!.values[i]!;
        value += children[c]!.family === 'gaussian' ? (x - eta) ** 2 / (2 * variances[c]!) : Math.exp(eta) - x * eta;
      }
      return value;
    };
    for (let i = 0; i < n; i++) {
      // The mode must not depend on the present K, or the proposal would not be an independent one: start at 0.
      let [mode, precision] = [0, 1];
      for (let step = 0; step < 8; step++) {
        let slope = mode;
        precision = 1;
        for (let c = 0; c < children.length; c++) {
          const weight = coefficients[c]![width - 1]!;
          const eta = offsets[c]![i]! + weight * mode;
          const x = children[c]!.values[i]!;
          if (children[c]!.family === 'gaussian') {
            slope -= (weight * (x - eta)) / variances[c]!;
            precision += weight ** 2 / variances[c]!;
          } else {
            const rate = Math.exp(Math.min(eta, 50));
            slope -= weight * (x - rate);
            precision += weight ** 2 * rate;
          }
        }
        const move = slope / precision;
        mode -= Math.max(-2, Math.min(2, move));
        if (Math.abs(move) < 1e-6) break;
      }
      const proposal = mode + normal[i]! / Math.sqrt(precision);
      const gain =
        energy(i, k[i]!) - energy(i, proposal) + (precision / 2) * ((proposal - mode) ** 2 - (k[i]! - mode) ** 2);
      if (Math.log(uniform[i]!) < gain) {
        k[i] = proposal;
        latentAccepted += 1;
      }
    }
    children.forEach((child, c) => {
      const part = own.derive(child.name);
      if (child.family === 'gaussian') {
        drawGaussian(child, c, part);
      } else {
        poissonTried += 1;
        if (drawPoisson(child.values, coefficients[c]!, part)) poissonAccepted += 1;
      }
    });
    // K and all its weights can change sign together: the first child's weight is kept positive.
    if (coefficients[0]![width - 1]! < 0) {
      for (let i = 0; i < n; i++) k[i] = -k[i]!;
      for (const c of coefficients) c[width - 1] = -c[width - 1]!;
    }
    onSweep?.(sweep + 1, sweeps);
    if (sweep < burnIn || (sweep - burnIn) % thin !== 0) continue;
    for (let i = 0; i < n; i++) {
      sum[i]! += k[i]!;
      square[i]! += k[i]! * k[i]!;
      if (draws) draws[i * samples + kept] = k[i]!;
    }
    totals.forEach(({ first, second }, c) => {
      for (let j = 0; j <= width; j++) {
        const value = j < width ? coefficients[c]![j]! : variances[c]!;
        first[j]! += value;
        second[j]! += value * value;
      }
    });
    kept += 1;
  }

  function drawGaussian({ name, values }: LatentChild, c: number, part: ReturnType<typeof stream>): void {
    const precision = zeros(width, width);
    const right = new Float64Array(width);
    for (let i = 0; i < n; i++) {
      setRow(i);
      for (let a = 0; a < width; a++) {
        right[a]! += row[a]! * values[i]!;
        for (let b = 0; b <= a; b++) precision.data[a * width + b]! += row[a]! * row[b]!;
      }
    }
    mirror(precision, 1 / variances[c]!);
    for (let a = 0; a < width; a++) precision.data[a * width + a]! += 1;
    const lower = cholesky(precision);
    const mean = choleskySolve(
      lower,
      right.map((x) => x / variances[c]!),
    );
    coefficients[c]!.set(drawFrom(mean, lower, part.normal(width)));
    if (fixedVariance[name] !== undefined) return;
    let residual = 0;
    for (let i = 0; i < n; i++) {
      setRow(i);
      let fitted = 0;
      for (let a = 0; a < width; a++) fitted += coefficients[c]![a]! * row[a]!;
      residual += (values[i]! - fitted) ** 2;
    }
    variances[c] = (1 + residual / 2) / gammaDraw(1 + n / 2, part.derive('variance'));
  }

  /** One Metropolis step with the Laplace approximation at the mode as its proposal. */
  function drawPoisson(values: Float64Array, c: Float64Array, part: ReturnType<typeof stream>): boolean {
    let mode = c.slice();
    let lower: Matrix = zeros(width, width);
    for (let step = 0; step < 6; step++) {
      const hessian = zeros(width, width);
      const slope = mode.map((x) => x);
      for (let i = 0; i < n; i++) {
        setRow(i);
        let eta = 0;
        for (let a = 0; a < width; a++) eta += mode[a]! * row[a]!;
        const rate = Math.exp(Math.min(eta, 50));
        for (let a = 0; a < width; a++) {
          slope[a]! -= row[a]! * (values[i]! - rate);
          for (let b = 0; b <= a; b++) hessian.data[a * width + b]! += rate * row[a]! * row[b]!;
        }
      }
      mirror(hessian, 1);
      for (let a = 0; a < width; a++) hessian.data[a * width + a]! += 1;
      lower = cholesky(hessian);
      const move = choleskySolve(lower, slope);
      mode = mode.map((x, a) => x - move[a]!);
      if (move.every((x) => Math.abs(x) < 1e-7)) break;
    }
    const z = part.normal(width);
    const proposal = drawFrom(mode, lower, z);
    const likelihood = (at: Float64Array): number => {
      let value = 0;
      for (const x of at) value -= (x * x) / 2;
      for (let i = 0; i < n; i++) {
        setRow(i);
        let eta = 0;
        for (let a = 0; a < width; a++) eta += at[a]! * row[a]!;
        value += values[i]! * eta - Math.exp(eta);
      }
      return value;
    };
    // Log density of the proposal at x, up to a constant: -|L^T (x - mode)|^2 / 2.
    const away = (x: Float64Array): number => {
      let total = 0;
      for (let a = 0; a < width; a++) {
        let value = 0;
        for (let b = a; b < width; b++) value += lower.data[b * width + a]! * (x[b]! - mode[b]!);
        total += value * value;
      }
      return total / 2;
    };
    const gain = likelihood(proposal) - likelihood(c) + away(proposal) - away(c);
    if (Math.log(part.derive('accept').uniform(1)[0]!) >= gain) return false;
    c.set(proposal);
    return true;
  }

  return {
    children: children.map(({ name, family }, c) => {
      const mean = totals[c]!.first.map((x) => x / kept);
      const deviation = totals[c]!.second.map((x, j) => Math.sqrt(Math.max(0, x / kept - mean[j]! ** 2)));
      return {
        name,
        family,
        intercept: mean[0]!,
        attributes: [...mean.subarray(1, width - 1)],
        weight: mean[width - 1]!,
        variance: family === 'gaussian' ? mean[width]! : null,
        deviation: [...deviation.subarray(0, width)],
      };
    }),
    latentMean: sum.map((x) => x / kept),
    latentVariance: square.map((x, i) => Math.max(0, x / kept - (sum[i]! / kept) ** 2)),
    draws,
    samples: kept,
    acceptance: { latent: latentAccepted / (sweeps * n), poisson: poissonTried ? poissonAccepted / poissonTried : 1 },
  };
}

/** Standardised ranks of a child: a start on the right side of every person. */
function startingLatent(values: Float64Array): Float64Array {
  const n = values.length;
  const mean = values.reduce((s, v) => s + v, 0) / n;
  const deviation = Math.sqrt(values.reduce((s, v) => s + (v - mean) ** 2, 0) / n) || 1;
  return values.map((v) => (0.5 * (v - mean)) / deviation);
}

/** Completes a lower triangle, scaled. */
function mirror({ rows, data }: Matrix, scale: number): void {
  for (let a = 0; a < rows; a++) {
    for (let b = 0; b <= a; b++) {
      const value = data[a * rows + b]! * scale;
      data[a * rows + b] = value;
      data[b * rows + a] = value;
    }
  }
}

/** mean + L^{-T} z: a normal draw with precision L L^T. */
function drawFrom(mean: Float64Array, { rows, data }: Matrix, z: Float64Array): Float64Array {
  const out = z.slice();
  for (let i = rows - 1; i >= 0; i--) {
    for (let j = i + 1; j < rows; j++) out[i]! -= data[j * rows + i]! * out[j]!;
    out[i]! /= data[i * rows + i]!;
  }
  return out.map((x, i) => x + mean[i]!);
}

/** Gamma(shape, 1) for shape >= 1 (Marsaglia and Tsang 2000). */
export function gammaDraw(shape: number, random: ReturnType<typeof stream>): number {
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (let i = 0; ; i++) {
    const x = random.derive('normal').normal(1, { start: 2 * i })[0]!;
    const v = (1 + c * x) ** 3;
    if (v <= 0) continue;
    const u = random.derive('uniform').uniform(1, { start: i })[0]!;
    if (Math.log(u) < (x * x) / 2 + d - d * v + d * Math.log(v)) return d * v;
  }
}
