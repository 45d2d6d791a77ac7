/** Rows of features with targets, and random splits of them. */
import { quantile } from '../../shared/math/quantile.ts';
import { stream } from '../../shared/math/random.ts';

/** `x` is n x d, row-major. */
export type Rows = { x: Float64Array; y: Float64Array; d: number };

/** The rows at these positions. */
export function pickRows({ x, y, d }: Rows, positions: ArrayLike<number>): Rows {
  const out = { x: new Float64Array(positions.length * d), y: new Float64Array(positions.length), d };
  for (let i = 0; i < positions.length; i++) {
    const from = positions[i]! * d;
    out.x.set(x.subarray(from, from + d), i * d);
    out.y[i] = y[positions[i]!]!;
  }
  return out;
}
export const pick = <T>(values: ArrayLike<T>, positions: ArrayLike<number>): T[] =>
  Array.from(positions, (i) => values[i]!);

/**
 * Random disjoint parts of 0 .. n-1 with the given shares (any positive numbers), each with its share of every stratum:
 * rows are dealt out stratum by stratum, always to the part that lacks most. A stratum of a few rows reaches every part
 * whose share of it is a row.
 */
export function splitRows(strata: ArrayLike<number>, shares: readonly number[], seed: number): Uint32Array[] {
  const order = stream(seed, 'split').permutation(strata.length);
  const total = shares.reduce((sum, share) => sum + share, 0);
  const counts = new Float64Array(shares.length);
  const partOf = new Uint8Array(strata.length);
  for (const [dealt, i] of order.toSorted((a, b) => strata[a]! - strata[b]!).entries()) {
    let part = 0;
    const lacks = (k: number): number => (shares[k]! / total) * (dealt + 1) - counts[k]!;
    for (let k = 1; k < shares.length; k++) {
      if (lacks(k) > lacks(part)) {
        part = k;
      }
    }
    counts[part]! += 1;
    partOf[i] = part;
  }
  return shares.map((_, k) => order.filter((i) => partOf[i] === k));
}

/** Strata of rows by group and outcome: its value where it has two, its quarter among the group's rows otherwise. */
export function strataOf(groupIds: ArrayLike<number>, outcome: Float64Array): Int32Array {
  const binary = new Set(outcome).size <= 2;
  const least = outcome.reduce((low, y) => Math.min(low, y), Number.POSITIVE_INFINITY);
  const own = new Map<number, number[]>();
  for (const [i, y] of outcome.entries()) {
    const values = own.get(groupIds[i]!);
    if (values) {
      values.push(y);
    } else {
      own.set(groupIds[i]!, [y]);
    }
  }
  const cuts = new Map(
    [...own].map(([code, values]) => {
      values.sort((a, b) => a - b);
      return [code, [0.25, 0.5, 0.75].map((level) => quantile(values, level))];
    }),
  );
  return Int32Array.from(outcome, (y, i) => {
    const quarter = binary ? Number(y > least) : cuts.get(groupIds[i]!)!.filter((cut) => y > cut).length;
    return 4 * groupIds[i]! + quarter;
  });
}
