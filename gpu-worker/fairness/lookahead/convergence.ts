/** Whether chains of a sampler agree, and how many independent draws theirs are worth. */

/** Means and variances of the halves of every chain. */
function halves(chains: readonly Float64Array[]): { mean: number; variance: number; length: number }[] {
  return chains.flatMap((chain) => {
    const half = Math.floor(chain.length / 2);
    return [chain.subarray(0, half), chain.subarray(chain.length - half)].map((part) => {
      const mean = part.reduce((sum, x) => sum + x, 0) / half;
      const variance = part.reduce((sum, x) => sum + (x - mean) ** 2, 0) / Math.max(1, half - 1);
      return { mean, variance, length: half };
    });
  });
}

/** Within-chain variance, and the estimate of the whole that also counts how far the halves lie apart. */
function variances(chains: readonly Float64Array[]): { within: number; pooled: number } {
  const parts = halves(chains);
  const length = parts[0]?.length ?? 0;
  const within = parts.reduce((sum, p) => sum + p.variance, 0) / parts.length;
  const mean = parts.reduce((sum, p) => sum + p.mean, 0) / parts.length;
  const between = parts.reduce((sum, p) => sum + (p.mean - mean) ** 2, 0) / (parts.length - 1);
  return { within, pooled: ((length - 1) / length) * within + between };
}

/**
 * Split R-hat (Gelman et al., Bayesian Data Analysis, 3rd ed., 11.4): 1 where all halves of all chains tell the same, above
 * 1.1 where they do not yet. A parameter that never moved has none to tell and counts as infinite, one that is fixed as 1.
 */
export function splitRHat(chains: readonly Float64Array[]): number {
  const { within, pooled } = variances(chains);
  if (within > 0) {
    return Math.sqrt(pooled / within);
  }
  return pooled > 0 ? Number.POSITIVE_INFINITY : 1;
}

/** Effective sample size: draws over 1 + 2 x the autocorrelations, summed in pairs while they are positive (Geyer 1992). */
export function effectiveSamples(chains: readonly Float64Array[]): number {
  const total = chains.reduce((sum, chain) => sum + chain.length, 0);
  const { within, pooled } = variances(chains);
  if (!(pooled > 0)) {
    return total;
  }
  const means = chains.map((chain) => chain.reduce((sum, x) => sum + x, 0) / chain.length);
  const length = Math.min(...chains.map((chain) => chain.length));
  const correlation = (lag: number): number => {
    let covariance = 0;
    for (const [c, chain] of chains.entries()) {
      let sum = 0;
      for (let i = lag; i < length; i++) {
        sum += (chain[i]! - means[c]!) * (chain[i - lag]! - means[c]!);
      }
      covariance += sum / length / chains.length;
    }
    return 1 - (within - covariance) / pooled;
  };
  let sum = 0;
  for (let lag = 1; lag + 1 < length; lag += 2) {
    const pair = correlation(lag) + correlation(lag + 1);
    if (!(pair > 0)) {
      break;
    }
    sum += pair;
  }
  return total / (1 + 2 * sum);
}
