/**
 * The latent-knowledge model of the law-school study (Kusner et al. 2017): one latent K ~ N(0, 1) per person behind a
 * Gaussian or Poisson score each and a Gaussian status, all linear in K and in observed attributes. One chain of its Gibbs
 * sampler: conjugate draws for the Gaussian parts, Laplace-proposal Metropolis steps for the Poisson part and for K.
 */
import { cholesky, choleskySolve } from '../../../shared/math/cholesky.ts';
import { zeros } from '../../../shared/math/matrix.ts';
import type { RandomStream } from '../../../shared/math/random.ts';
import { drawFrom, gammaDraw } from './draws.ts';
import { moveAlongGauges } from './gauge-moves.ts';
import { type LatentData, LatentPosterior } from './latent-posterior.ts';
import { mirror, proposePoisson } from './poisson-proposal.ts';
import { moveAlongRidges } from './ridge-moves.ts';
import { signAnchor } from './sign-anchor.ts';

type ChainSettings = {
  burnIn: number;
  samples: number;
  thin: number;
  /** Children with a fixed residual variance, by name (the study fixes the status's at 1). */
  fixedVariance: Readonly<Record<string, number>>;
  /** Told of every sweep and each draw of K that is kept. */
  onSweep(): void;
  onDraw(latent: Float64Array, kept: number): void;
};
/** Kept draws of every child's intercept, attribute coefficients (p), weight of K and variance, in this order. */
export type Chain = {
  traces: Float64Array[][];
  latentAcceptance: number;
  /** Acceptance rate of each child's Metropolis step; 1 for Gaussian children, whose draws are exact. */
  acceptance: number[];
};

type LatentChild = LatentData['children'][number];

/** Runs one chain. `start` scales the first weights, so that chains begin apart. */
export function runChain(
  { children, attributes, p, n }: LatentData,
  { burnIn, samples, thin, fixedVariance, onSweep, onDraw }: ChainSettings,
  random: RandomStream,
  start: number,
): Chain {
  const width = p + 2;
  const coefficients = children.map(({ family, values }) => {
    const c = new Float64Array(width);
    const mean = values.reduce((sum, v) => sum + v, 0) / n;
    c[0] = family === 'poisson' ? Math.log(Math.max(mean, 1e-3)) : mean;
    c[width - 1] = start * (family === 'poisson' ? 0.1 : 0.5);
    return c;
  });
  const variances = children.map(({ name }) => fixedVariance[name] ?? 1);
  const k = startingLatent(children[0]!.values);
  const traces = children.map(() => Array.from({ length: width + 1 }, () => new Float64Array(samples)));
  const accepted = children.map(() => 0);
  let [latentAccepted, kept] = [0, 0];
  const sweeps = burnIn + samples * thin;
  const row = new Float64Array(width);
  row[0] = 1;
  const setRow = (i: number): void => {
    for (let j = 0; j < p; j++) {
      row[j + 1] = attributes[i * p + j]!;
    }
    row[width - 1] = k[i]!;
  };
  const fixed = children.map(({ name }) => fixedVariance[name] !== undefined);
  const anchor = signAnchor({ children, attributes, p, n });

  for (let sweep = 0; sweep < sweeps; sweep++) {
    const own = random.derive(sweep);
    // K of every person: Newton to the mode from where it stands, then an independence proposal from the Laplace fit.
    const normal = own.derive('k').normal(n);
    const uniform = own.derive('accept').uniform(n);
    const posterior = new LatentPosterior({ children, attributes, p, n }, { coefficients, variances });
    const { mode, precision } = posterior.approximation();
    for (let i = 0; i < n; i++) {
      const proposal = mode[i]! + normal[i]! / Math.sqrt(precision[i]!);
      const closer = (proposal - mode[i]!) ** 2 - (k[i]! - mode[i]!) ** 2;
      const gain = posterior.energy(i, k[i]!) - posterior.energy(i, proposal) + (precision[i]! / 2) * closer;
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
        if (drawPoisson(child.values, coefficients[c]!, part)) {
          accepted[c]! += 1;
        }
      }
    });
    moveAlongGauges(k, coefficients, attributes, p, own.derive('gauge'));
    moveAlongRidges({ children, attributes, p, n }, { k, coefficients, variances }, fixed, own.derive('ridge'));
    // K and all its weights can change sign together.
    if (coefficients[anchor]![width - 1]! < 0) {
      for (let i = 0; i < n; i++) {
        k[i] = -k[i]!;
      }
      for (const c of coefficients) {
        c[width - 1] = -c[width - 1]!;
      }
    }
    onSweep();
    if (sweep < burnIn || (sweep - burnIn) % thin !== 0) {
      continue;
    }
    onDraw(k, kept);
    for (const [c, trace] of traces.entries()) {
      for (let j = 0; j <= width; j++) {
        trace[j]![kept] = j < width ? coefficients[c]![j]! : variances[c]!;
      }
    }
    kept += 1;
  }

  function drawGaussian({ name, values }: LatentChild, c: number, part: RandomStream): void {
    const precision = zeros(width, width);
    const right = new Float64Array(width);
    for (let i = 0; i < n; i++) {
      setRow(i);
      for (let a = 0; a < width; a++) {
        right[a]! += row[a]! * values[i]!;
        for (let b = 0; b <= a; b++) {
          precision.data[a * width + b]! += row[a]! * row[b]!;
        }
      }
    }
    mirror(precision, 1 / variances[c]!);
    for (let a = 0; a < width; a++) {
      precision.data[a * width + a]! += 1;
    }
    const lower = cholesky(precision);
    const mean = choleskySolve(
      lower,
      right.map((x) => x / variances[c]!),
    );
    coefficients[c]!.set(drawFrom(mean, lower, part.normal(width)));
    if (fixedVariance[name] !== undefined) {
      return;
    }
    let residual = 0;
    for (let i = 0; i < n; i++) {
      setRow(i);
      let fitted = 0;
      for (let a = 0; a < width; a++) {
        fitted += coefficients[c]![a]! * row[a]!;
      }
      residual += (values[i]! - fitted) ** 2;
    }
    variances[c] = (1 + residual / 2) / gammaDraw(1 + n / 2, part.derive('variance'));
  }

  /** One Metropolis step with the Laplace approximation at the mode as its proposal. */
  function drawPoisson(values: Float64Array, c: Float64Array, part: RandomStream): boolean {
    const design = new Float64Array(n * width);
    for (let i = 0; i < n; i++) {
      setRow(i);
      design.set(row, i * width);
    }
    const proposal = proposePoisson(design, values, c, part);
    if (Math.log(part.derive('accept').uniform(1)[0]!) >= proposal.gain) {
      return false;
    }
    c.set(proposal.at);
    return true;
  }

  return {
    traces,
    latentAcceptance: latentAccepted / (sweeps * n),
    acceptance: children.map(({ family }, c) => (family === 'poisson' ? accepted[c]! / sweeps : 1)),
  };
}

/** Standardised ranks of a child: a start on the right side of every person. */
function startingLatent(values: Float64Array): Float64Array {
  const n = values.length;
  const mean = values.reduce((s, v) => s + v, 0) / n;
  const deviation = Math.sqrt(values.reduce((s, v) => s + (v - mean) ** 2, 0) / n) || 1;
  return values.map((v) => (0.5 * (v - mean)) / deviation);
}
