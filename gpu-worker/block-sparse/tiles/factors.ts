/** Factors of a layer on the host: W = sum_i (S * A_i) kron B_i, folded, fitted to a given matrix, cut to a rank. */
import { singularValues } from '../../../shared/math/decompositions.ts';
import { matrix } from '../../../shared/math/matrix.ts';
import { eachTileRow, type Grid } from './tiles.ts';

/** S [p, q], A [r, p, q], B [r, m, n], row-major. */
export type Factors = {
  grid: Grid;
  rank: number;
  s: ArrayLike<number>;
  a: ArrayLike<number>;
  b: ArrayLike<number>;
};

/** W [p m, q n] in float64: W[a m + k, c n + l] = S[a,c] sum_i A_i[a,c] B_i[k,l]. */
export function denseWeight({ grid, rank, s, a, b }: Factors): Float64Array {
  const { p, q, m, n } = grid;
  const weight = new Float64Array(p * m * q * n);
  eachTileRow(grid, (tile, offset, row) => {
    if (s[tile] === 0) {
      return;
    }
    for (let i = 0; i < rank; i++) {
      const scale = s[tile]! * a[i * p * q + tile]!;
      for (let l = 0; l < n; l++) {
        weight[offset + l] = weight[offset + l]! + scale * b[(i * m + row) * n + l]!;
      }
    }
  });
  return weight;
}

/** S taken into A, so that S holds 1 for live tiles and 0 for dead ones. */
export function folded(factors: Factors): Factors & { s: Float32Array; a: Float32Array } {
  const { grid, rank, s, a } = factors;
  const tiles = grid.p * grid.q;
  return {
    ...factors,
    s: Float32Array.from({ length: tiles }, (_, t) => Number(s[t] !== 0)),
    a: Float32Array.from({ length: rank * tiles }, (_, i) => s[i % tiles]! * a[i]!),
  };
}

/** One row per tile (Van Loan and Pitsianis): the rank of this matrix is the number of terms that W needs. */
function rearranged(weight: ArrayLike<number>, grid: Grid): Float64Array {
  const { m, n } = grid;
  const rows = new Float64Array(weight.length);
  eachTileRow(grid, (tile, offset, row) => {
    for (let l = 0; l < n; l++) {
      rows[tile * m * n + row * n + l] = weight[offset + l]!;
    }
  });
  return rows;
}

type Factorisation = {
  /** Falling. */
  values: Float64Array;
  /** Singular values above 1e-9 of the largest: so many terms rebuild W. */
  rank: number;
  /** The best fit by `terms` terms; S is 0 for tiles that are all zero, else 1. */
  fit(terms: number): Factors;
  /** Relative Frobenius error of that fit: the tail of the singular values. */
  error(terms: number): number;
};

/** @param weight [p m, q n], finite */
export function factorise(weight: ArrayLike<number>, grid: Grid): Factorisation {
  const { p, q, m, n } = grid;
  const rows = matrix(p * q, m * n, rearranged(weight, grid));
  const { left, values, right } = singularValues(rows);
  const total = norm(values);
  const live = Float64Array.from({ length: p * q }, (_, t) =>
    Number(rows.data.subarray(t * m * n, (t + 1) * m * n).some((x) => x !== 0)),
  );
  return {
    values,
    rank: values.filter((value) => value > 1e-9 * values[0]!).length,
    fit(terms) {
      const rank = Math.min(terms, values.length);
      // The root of each singular value goes to either side, so that A and B are of one size.
      const a = Float64Array.from({ length: rank * p * q }, (_, k) => {
        const [i, t] = [Math.floor(k / (p * q)), k % (p * q)];
        return Math.sqrt(values[i]!) * left.data[t * left.cols + i]! * live[t]!;
      });
      const b = Float64Array.from({ length: rank * m * n }, (_, k) => {
        const [i, e] = [Math.floor(k / (m * n)), k % (m * n)];
        return Math.sqrt(values[i]!) * right.data[e * right.cols + i]!;
      });
      return { grid, rank, s: live, a, b };
    },
    error: (terms) => (total === 0 ? 0 : norm(values.subarray(Math.min(terms, values.length))) / total),
  };
}

const norm = (values: Float64Array): number => Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
