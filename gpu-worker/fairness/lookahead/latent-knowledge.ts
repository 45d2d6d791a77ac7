/** The latent-knowledge model fitted by several chains of its sampler, and judged by whether they agree. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { stream } from '../../../shared/math/random.ts';
import { effectiveSamples, splitRHat } from './convergence.ts';
import { type Chain, runChain } from './latent-chain.ts';
import type { LatentData } from './latent-posterior.ts';

type LatentSampling = {
  burnIn: number;
  /** Kept draws in all; each chain keeps its share. */
  samples: number;
  thin: number;
  seed: number;
  fixedVariance?: Readonly<Record<string, number>>;
  /** Keep draws of K (n x samples, person-major) as single-precision numbers. */
  keepLatent?: boolean;
  onSweep?: (sweep: number, sweeps: number) => void;
};

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
  /** Worst split R-hat and least effective sample size over all parameters. */
  convergence: { rHat: number; effectiveSamples: number };
};

/** Chains that begin apart: the first weights are scaled by these. */
const STARTS = [1, 3];
/** A sampler below this acceptance stands still; chains beyond this R-hat tell different things. */
const [LEAST_ACCEPTANCE, MOST_R_HAT] = [0.05, 1.3];

const mean = (values: Float64Array): number => values.reduce((sum, x) => sum + x, 0) / values.length;
const deviation = (values: Float64Array): number => {
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, x) => sum + (x - centre) ** 2, 0) / values.length);
};

function requireCounts({ children, n }: LatentData): void {
  for (const { name, family, values } of children) {
    if (values.length !== n) {
      throw new SextantError('data_invalid', `${name} has ${values.length} values for ${n} rows`);
    }
    if (family === 'poisson' && values.some((v) => !(Number.isInteger(v) && v >= 0))) {
      throw new SextantError('data_invalid', `${name} must hold whole numbers from 0 to be a Poisson count`);
    }
  }
}

/** Fails a fit whose chains did not arrive. Raises `not_converged`, saying what to change. */
function requireConverged({ children }: LatentData, chains: readonly Chain[], fit: LatentFit): void {
  for (const [c, child] of children.entries()) {
    const rate = chains.reduce((sum, chain) => sum + chain.acceptance[c]! / chains.length, 0);
    if (rate < LEAST_ACCEPTANCE) {
      throw new SextantError(
        'not_converged',
        `the sampler accepted ${(100 * rate).toFixed(1)} % of its steps for ${child.name}; rescale the column, leave it out, or model it as gaussian`,
      );
    }
  }
  if (fit.acceptance.latent < LEAST_ACCEPTANCE) {
    throw new SextantError(
      'not_converged',
      `the sampler accepted ${(100 * fit.acceptance.latent).toFixed(1)} % of its steps for the latent variable; rescale the children or leave one out`,
    );
  }
  const { rHat, effectiveSamples: worth } = fit.convergence;
  if (rHat > MOST_R_HAT) {
    throw new SextantError(
      'not_converged',
      `chains from different starts do not agree (R-hat ${rHat.toFixed(2)}, ${worth.toFixed(0)} effective samples); raise burn_in and samples, rescale the children, or leave out one that says little of the latent variable`,
    );
  }
}

/**
 * Standard-normal priors on coefficients, inverse-gamma(1, 1) on variances. Raises `data_invalid` for counts below 0 and
 * `not_converged` where the chains stand still or disagree.
 */
export function fitLatentKnowledge(data: LatentData, given: Partial<LatentSampling> = {}): LatentFit {
  const { burnIn = 300, samples = 500, thin = 1, seed = 0, fixedVariance = {}, keepLatent = false, onSweep } = given;
  requireCounts(data);
  const { children, n, p } = data;
  const each = Math.ceil(samples / STARTS.length);
  const total = each * STARTS.length;
  const sweeps = STARTS.length * (burnIn + each * thin);
  const [sum, square] = [new Float64Array(n), new Float64Array(n)];
  const draws = keepLatent ? new Float32Array(n * total) : null;
  let sweep = 0;
  const chains = STARTS.map((start, c) =>
    runChain(
      data,
      {
        burnIn,
        samples: each,
        thin,
        fixedVariance,
        onSweep() {
          sweep += 1;
          onSweep?.(sweep, sweeps);
        },
        onDraw(k, kept) {
          for (let i = 0; i < n; i++) {
            sum[i]! += k[i]!;
            square[i]! += k[i]! * k[i]!;
            if (draws) {
              draws[i * total + c * each + kept] = k[i]!;
            }
          }
        },
      },
      stream(seed, `latent-knowledge/${c}`),
      start,
    ),
  );
  const tracesOf = (c: number, j: number): Float64Array[] => chains.map((chain) => chain.traces[c]![j]!);
  const pooled = (c: number, j: number): Float64Array =>
    Float64Array.from(tracesOf(c, j).flatMap((trace) => [...trace]));
  const every = children.flatMap((_, c) => Array.from({ length: p + 3 }, (_, j) => tracesOf(c, j)));
  const counts = children.flatMap(({ family }, c) => (family === 'poisson' ? [c] : []));
  const poisson = chains.flatMap((chain) => counts.map((c) => chain.acceptance[c]!));
  const fit: LatentFit = {
    children: children.map(({ name, family }, c) => {
      const at = Array.from({ length: p + 2 }, (_, j) => pooled(c, j));
      return {
        name,
        family,
        intercept: mean(at[0]!),
        attributes: at.slice(1, -1).map(mean),
        weight: mean(at[p + 1]!),
        variance: family === 'gaussian' ? mean(pooled(c, p + 2)) : null,
        deviation: at.map(deviation),
      };
    }),
    latentMean: sum.map((x) => x / total),
    latentVariance: square.map((x, i) => Math.max(0, x / total - (sum[i]! / total) ** 2)),
    draws,
    samples: total,
    acceptance: {
      latent: chains.reduce((rate, chain) => rate + chain.latentAcceptance / chains.length, 0),
      poisson: poisson.length ? Math.min(...poisson) : 1,
    },
    convergence: {
      rHat: Math.max(...every.map(splitRHat)),
      effectiveSamples: Math.min(...every.map(effectiveSamples)),
    },
  };
  requireConverged(data, chains, fit);
  return fit;
}
