/** Rows of features with targets, and random splits of them. */
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

/** Random disjoint parts of 0 .. n-1 with the given shares; the last part takes what is left. */
export function splitRows(n: number, shares: readonly number[], seed: number): Uint32Array[] {
  const order = stream(seed, 'split').permutation(n);
  let from = 0;
  return shares.map((share, k) => {
    const to = k === shares.length - 1 ? n : Math.min(n, from + Math.round(share * n));
    const part = order.slice(from, to);
    from = to;
    return part;
  });
}
