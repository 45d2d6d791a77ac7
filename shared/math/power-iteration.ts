/** The largest eigenvalue of a symmetric matrix that is known only by its product with a vector. */

type Leading = {
  vector: Float64Array;
  value: number;
  /** Whether the last round changed what was asked for by no more than the tolerance. */
  settled: boolean;
};

/**
 * Power iteration from `start` for a matrix without negative eigenvalues: `product` gives A v. Ends when a round turns the
 * vector by less than `tolerance`, or with `until: 'value'` when it raises the eigenvalue by less than that share of it: two
 * eigenvalues that are alike leave the vector open long after the value is known. The value is approached from below.
 */
export function powerIteration(
  product: (v: Float64Array) => Float64Array,
  start: Float64Array,
  { rounds, tolerance, until = 'vector' }: { rounds: number; tolerance: number; until?: 'vector' | 'value' },
): Leading {
  const length = (v: Float64Array): number => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
  const unit = length(start);
  let vector = start.map((x) => x / unit);
  let value = 0;
  for (let round = 0; round < rounds; round++) {
    const next = product(vector);
    const size = length(next);
    if (size === 0) {
      return { vector, value: 0, settled: true };
    }
    const turned = next.map((x) => x / size);
    const change = until === 'value' ? Math.abs(size - value) / size : length(turned.map((x, i) => x - vector[i]!));
    [vector, value] = [turned, size];
    if (change < tolerance) {
      return { vector, value, settled: true };
    }
  }
  return { vector, value, settled: false };
}
