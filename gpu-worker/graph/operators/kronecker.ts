/**
 * Products with sums of Kronecker products, without forming them. The terms are merged into two plain products, worked
 * through in blocks of rows: a block's value between the two stays in the cache, and the backward pass computes it again
 * instead of keeping r times the input (Khalili et al. 2025, arXiv:2503.21928; gradients in section 4 of our notes on it).
 */
import { GraphError } from '../errors.ts';
import { isStatic } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { withGradient } from './custom.ts';
import { reshape, transpose } from './layout.ts';
import { flattenRows, matmul } from './matmul.ts';
import { overRowBlocks } from './row-blocks.ts';

/** Which factor meets the input first. */
export type KroneckerOrder = 'a-first' | 'b-first';
type Sizes = { p: number; q: number; m: number; n: number; r: number };

/** Numbers between the two products that one block of rows may have: 256 KiB in float32. A step took less time than with 1 MiB. */
const BLOCK_ELEMENTS = 2 ** 16;

/**
 * `x W` for `W = sum_i A_i kron B_i`: x [..., p m], a [r, p, q], b [r, m, n] -> [..., q n]. Multiply-adds per row:
 * r (p m n + p q n) with `b-first`, r (p q m + q m n) with `a-first`; by default the cheaper order, `b-first` on a tie.
 * `blockRows` is the size of a block of rows; it must divide the rows.
 */
export function kroneckerMatmul(
  x: Tensor,
  a: Tensor,
  b: Tensor,
  { order, blockRows }: { order?: KroneckerOrder; blockRows?: number } = {},
): Tensor {
  const s = sizesOf(x, a, b);
  const way = { 'a-first': aFirst, 'b-first': bFirst }[order ?? cheaperOrder(s)](s);
  const rows = flattenRows(x);
  const size = blockRows ?? blockSize(rows, way.between);
  // Both small factors are laid out once, not in every block.
  const [left, right] = way.factors(a, b);
  const [y] = overRowBlocks([rows], [left, right], size, ([block], [f, h]) => ({
    rows: [way.second(way.first(block, f, h), f, h)],
  }));
  const value = withGradient(y, [rows, a, b], (dy) => {
    const [dx, dLeft, dRight] = overRowBlocks([rows, dy], [left, right], size, ([block, dBlock], [f, h]) => {
      const { dx, da, db } = way.backward(block, dBlock, f, h);
      return { rows: [dx], sums: [da, db] };
    });
    return [dx, ...way.gradients(dLeft, dRight)];
  });
  return reshape(value, [...x.shape.slice(0, -1), s.q * s.n], x);
}

const cheaperOrder = ({ p, q, m, n }: Omit<Sizes, 'r'>): KroneckerOrder =>
  p * q * m + q * m * n < p * m * n + p * q * n ? 'a-first' : 'b-first';

type Way = {
  /** Elements per row between the two products. */
  between: number;
  factors(a: Tensor, b: Tensor): [Tensor, Tensor];
  first(x: Tensor, a: Tensor, b: Tensor): Tensor;
  second(z: Tensor, a: Tensor, b: Tensor): Tensor;
  backward(x: Tensor, dy: Tensor, a: Tensor, b: Tensor): { dx: Tensor; da: Tensor; db: Tensor };
  /** From the gradients of the laid-out factors to those of a and b. */
  gradients(da: Tensor, db: Tensor): [Tensor, Tensor];
};

/** [rows, u, v] as a matrix [rows v, u]: the last two axes change places. */
const exchanged = (x: Tensor, [rows, u, v]: readonly [number | string, number, number]): Tensor =>
  reshape(transpose(reshape(x, [rows, u, v])), [product(rows, v), u]);
const product = (rows: number | string, by: number): number | string =>
  typeof rows === 'number' ? rows * by : `${rows}*${by}`;

/** z = x B over all terms at once, [rows p, r n]; then A contracts (tile row, term). Factors [p r, q] and [m, r n]. */
const bFirst = ({ p, q, m, n, r }: Sizes): Way => {
  const inner = (x: Tensor, b: Tensor) => {
    const rows = x.shape[0]!;
    return exchanged(matmul(reshape(x, [product(rows, p), m]), b), [rows, p * r, n]);
  };
  return {
    between: p * r * n,
    factors: (a, b) => [reshape(transpose(a, [1, 0, 2]), [p * r, q]), reshape(transpose(b, [1, 0, 2]), [m, r * n])],
    first: (x, _, b) => inner(x, b),
    second(z, a) {
      const rows = rowsOf(z, n);
      return reshape(exchanged(matmul(z, a), [rows, n, q]), [rows, q * n]);
    },
    backward(x, dy, a, b) {
      const rows = x.shape[0]!;
      const tiles = reshape(x, [product(rows, p), m]);
      const slope = exchanged(dy, [rows, q, n]);
      const dz = reshape(exchanged(matmul(slope, a, { transB: true }), [rows, n, p * r]), [product(rows, p), r * n]);
      return {
        dx: reshape(matmul(dz, b, { transB: true }), [rows, p * m]),
        da: matmul(inner(x, b), slope, { transA: true }),
        db: matmul(tiles, dz, { transA: true }),
      };
    },
    gradients: (da, db) => [transpose(reshape(da, [p, r, q]), [1, 0, 2]), transpose(reshape(db, [m, r, n]), [1, 0, 2])],
  };
};

/** t = x A over all terms at once, [rows q, r m]; then B contracts (term, row in the tile). Factors [p, q r] and [r m, n]. */
const aFirst = ({ p, q, m, n, r }: Sizes): Way => {
  const inner = (x: Tensor, a: Tensor) => {
    const rows = x.shape[0]!;
    const t = exchanged(matmul(exchanged(x, [rows, p, m]), a), [rows, m, q * r]);
    return reshape(t, [product(rows, q), r * m]);
  };
  return {
    between: q * r * m,
    factors: (a, b) => [reshape(transpose(a, [1, 2, 0]), [p, q * r]), reshape(b, [r * m, n])],
    first: (x, a) => inner(x, a),
    second(t, _, b) {
      return reshape(matmul(t, b), [rowsOf(t, q), q * n]);
    },
    backward(x, dy, a, b) {
      const rows = x.shape[0]!;
      const tiles = exchanged(x, [rows, p, m]);
      const slope = reshape(dy, [product(rows, q), n]);
      const dt = exchanged(matmul(slope, b, { transB: true }), [rows, q * r, m]);
      return {
        dx: reshape(exchanged(matmul(dt, a, { transB: true }), [rows, m, p]), [rows, p * m]),
        da: matmul(tiles, dt, { transA: true }),
        db: matmul(inner(x, a), slope, { transA: true }),
      };
    },
    gradients: (da, db) => [transpose(reshape(da, [p, q, r]), [2, 0, 1]), reshape(db, [r, m, n])],
  };
};

function rowsOf(matrix: Tensor, per: number): number | string {
  const rows = matrix.shape[0]!;
  return typeof rows === 'number' ? rows / per : rows.slice(0, -`*${per}`.length);
}

function sizesOf(x: Tensor, a: Tensor, b: Tensor): Sizes {
  const fixed = [...a.shape, ...b.shape];
  if (a.rank !== 3 || b.rank !== 3 || !isStatic(fixed) || a.shape[0] !== b.shape[0]) {
    throw new GraphError('shape_mismatch', `factors [r, p, q] and [r, m, n] of one r are needed, got ${a} and ${b}`);
  }
  const [r, p, q] = a.shape as [number, number, number];
  const [, m, n] = b.shape as [number, number, number];
  if (x.shape[x.rank - 1] !== p * m) {
    throw new GraphError('shape_mismatch', `${x} has not the ${p} * ${m} columns of ${a} kron ${b}`);
  }
  return { p, q, m, n, r };
}

/**
 * Rows of a block: the divisor of all rows that comes nearest to what the cache holds. All rows are one block where only
 * far smaller blocks would divide them, and where their number is not known.
 */
function blockSize(rows: Tensor, between: number): number {
  const total = rows.shape[0]!;
  if (typeof total === 'string') {
    return 1;
  }
  const wanted = Math.max(1, BLOCK_ELEMENTS / between);
  const away = (size: number) => Math.abs(Math.log(size / wanted));
  let best = total;
  for (let size = Math.ceil(wanted / 4); size < total; size++) {
    if (total % size === 0 && away(size) < away(best)) {
      best = size;
    }
  }
  return best;
}
