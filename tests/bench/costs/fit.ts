/** Unit costs from measurements: the non-negative least squares of relative errors. */

export type Sample = { quantities: Readonly<Record<string, number>>; measured: number };

/** Share of a quantity's weight in the fit that keeps it at its prior where the samples do not decide. */
const RIDGE = 0.03;
const ROUNDS = 20_000;

/**
 * Costs c >= 0 that minimise the sum over samples of (c . quantities / measured - 1)^2, and a small multiple of the squared
 * distance from the priors. Coordinate descent, which for this convex problem ends at the minimum.
 */
export function unitCosts(
  samples: readonly Sample[],
  priors: Readonly<Record<string, number>>,
): Record<string, number> {
  const names = [...new Set(samples.flatMap(({ quantities }) => Object.keys(quantities)))];
  const columns = names.map((name) => samples.map(({ quantities, measured }) => (quantities[name] ?? 0) / measured));
  const costs = names.map((name) => priors[name] ?? 0);
  const residuals = samples.map((_, s) =>
    columns.reduce((sum, column, j) => sum + (column[s] ?? 0) * (costs[j] ?? 0), -1),
  );
  for (let round = 0; round < ROUNDS; round++) {
    for (const [j, column] of columns.entries()) {
      const square = column.reduce((sum, x) => sum + x * x, 0);
      if (square === 0) {
        continue;
      }
      const prior = priors[names[j] ?? ''] ?? 0;
      const now = costs[j] ?? 0;
      const slope = column.reduce((sum, x, s) => sum + x * (residuals[s] ?? 0), 0) + RIDGE * square * (now - prior);
      const next = Math.max(0, now - slope / (square * (1 + RIDGE)));
      for (const [s, x] of column.entries()) {
        residuals[s] = (residuals[s] ?? 0) + x * (next - now);
      }
      costs[j] = next;
    }
  }
  return Object.fromEntries(names.map((name, j) => [name, costs[j] ?? 0]));
}
