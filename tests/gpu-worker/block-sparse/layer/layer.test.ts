import { describe, expect, it } from 'vitest';
import { builtWeight, kroneckerFactors, kroneckerProduct } from '../../../../gpu-worker/block-sparse/layer/layer.ts';
import { denseWeight } from '../../../../gpu-worker/block-sparse/tiles/factors.ts';
import { gridOf } from '../../../../gpu-worker/block-sparse/tiles/tiles.ts';
import * as g from '../../../../gpu-worker/graph/index.ts';
import { Session } from '../../../../gpu-worker/runtime/index.ts';
import { stream } from '../../../../shared/math/random.ts';

/** Grids, tiles and ranks with either order cheaper, rows that do not fill a block, tiles of one row or column. */
const CASES = [
  { rows: 7, p: 4, q: 5, m: 3, n: 2, r: 1 },
  { rows: 6, p: 6, q: 3, m: 4, n: 5, r: 2 },
  { rows: 8, p: 2, q: 7, m: 16, n: 1, r: 4 },
  { rows: 4, p: 9, q: 4, m: 1, n: 6, r: 3 },
];
const seed = 20_260_729;

function setup({ rows, p, q, m, n, r }: (typeof CASES)[number]) {
  const random = stream(seed, `${p} ${q} ${m} ${n} ${r}`);
  const shapes = { x: [rows, p * m], 'l.S': [p, q], 'l.A': [r, p, q], 'l.B': [r, m, n], gy: [rows, q * n] };
  const feeds = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const values = random.derive(name).normal(shape.reduce((a, b) => a * b, 1));
      // A few dead tiles.
      const data = name === 'l.S' ? values.map((value, i) => (i % 3 === 1 ? 0 : value)) : values;
      return [name, { shape, data }];
    }),
  );
  const factors = kroneckerFactors('l', [p * m, q * n], { tile: [m, n], rank: r });
  const x = g.parameter('x', shapes.x);
  return { feeds, factors, x, gy: g.input('gy', shapes.gy) };
}
const largest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a, (value, i) => Math.abs(value - b[i]!)).reduce((most, gap) => Math.max(most, gap), 0);

describe.each(CASES)('a layer of $p x $q tiles of $m x $n, rank $r', (shape) => {
  const { feeds, factors, x, gy } = setup(shape);
  const by = [x, factors.s, factors.a, factors.b];
  const gradients = (y: g.Tensor) => g.gradients(g.sum(g.mul(y, gy)), by);
  const ways = [
    ['A first', g.kroneckerMatmul(x, g.mul(factors.a, factors.s), factors.b, { order: 'a-first', blockRows: 1 })],
    ['B first', g.kroneckerMatmul(x, g.mul(factors.a, factors.s), factors.b, { order: 'b-first', blockRows: 1 })],
    ['the cheaper order', kroneckerProduct(x, factors)],
  ] as const;
  const built = kroneckerProduct(x, factors, true);
  const exact = g.evaluate([builtWeight(factors), built, ...gradients(built)], feeds);

  it('builds the matrix that the definition says', () => {
    const { p, q, m, n, r } = shape;
    const values = { s: feeds['l.S']!.data, a: feeds['l.A']!.data, b: feeds['l.B']!.data };
    const weight = denseWeight({ grid: gridOf(p * m, q * n, [m, n]), rank: r, ...values });
    const entry = (a: number, k: number, c: number, l: number) =>
      values.s[a * q + c]! *
      Array.from({ length: r }, (_, i) => values.a[(i * p + a) * q + c]! * values.b[(i * m + k) * n + l]!).reduce(
        (t, u) => t + u,
        0,
      );
    const named = Array.from({ length: p * m * q * n }, (_, i) => {
      const [row, column] = [Math.floor(i / (q * n)), i % (q * n)];
      return entry(Math.floor(row / m), row % m, Math.floor(column / n), column % n);
    });
    expect(largest(weight, named)).toBeLessThan(1e-14);
    expect(largest(exact[0]!.data, named)).toBeLessThan(1e-14);
  });

  it.each(ways)('equals the built matrix, and so do its gradients, in float64: %s', (_, y) => {
    const found = g.evaluate([y, ...gradients(y)], feeds);
    found.forEach(({ data }, i) => {
      expect(largest(data, exact[i + 1]!.data), `output ${i}`).toBeLessThan(1e-12);
    });
  });

  it.each(ways)('and in float32 in the runtime: %s', async (_, y) => {
    const outputs = [y, ...gradients(y)];
    const program = g.compile(Object.fromEntries(outputs.map((output, i) => [`o${i}`, output])));
    const session = await Session.create(program, { threads: 1 });
    const single = program.inputs.map(({ name }) => {
      const { shape: dims, data } = feeds[name]!;
      return [name, { shape: dims, data: Float32Array.from(data) }] as const;
    });
    const found = await session.run(Object.fromEntries(single));
    await session.release();
    outputs.forEach((_, i) => {
      const wanted = exact[i + 1]!.data;
      const scale = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      expect(largest(found[`o${i}`]!.data as Float32Array, wanted) / scale, `output ${i}`).toBeLessThan(2e-6);
    });
  });
});

it('serves any number of rows', async () => {
  const factors = kroneckerFactors('l', [6, 4], { tile: [3, 2], rank: 2 });
  for (const order of ['a-first', 'b-first'] as const) {
    const y = g.kroneckerMatmul(g.input('x', ['batch', 'length', 6]), g.mul(factors.a, factors.s), factors.b, {
      order,
    });
    expect(y.shape).toEqual(['batch', 'length', 4]);
    const session = await Session.create(g.compile({ y }), { threads: 1 });
    const ones = (shape: number[]) => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1) });
    const feeds = { x: ones([5, 3, 6]), 'l.S': ones([2, 2]), 'l.A': ones([2, 2, 2]), 'l.B': ones([2, 3, 2]) };
    expect((await session.run(feeds)).y!.data).toEqual(new Float32Array(60).fill(12));
    await session.release();
  }
});

it('needs no memory for the rows between the two products', () => {
  const [rows, width, r] = [4096, 256, 4];
  const x = g.parameter('x', [rows, width]);
  const lossOf = (y: g.Tensor) => g.sum(g.square(y));
  const factors = kroneckerFactors('l', [width, width], { tile: [8, 8], rank: r });
  const y = kroneckerProduct(x, factors);
  const dense = g.matmul(x, g.parameter('w', [width, width]));
  const peak = (value: g.Tensor) => g.peakBytes(g.gradients(lossOf(value), [x]));
  expect(peak(y)).toBeLessThan(1.1 * peak(dense));
});
