import { describe, expect, it } from 'vitest';
import * as g from '../../../gpu-worker/graph/index.ts';
import { Session } from '../../../gpu-worker/runtime/index.ts';
import { stream } from '../../../shared/math/random.ts';
import { relativeError } from './sources.ts';

async function runOnce(program: g.Program, feeds: Parameters<Session['run']>[0]) {
  const session = await Session.create(program, { threads: 1 });
  const out = await session.run(feeds);
  await session.release();
  return out;
}
const floats = (n: number, name = 'x') => stream(1, name).normal32(n);

describe('compilation', () => {
  const x = g.input('x', [4]);
  it('writes equal subexpressions once and unused ones never', () => {
    const once = g.compile({ y: g.exp(x) }).nodes;
    expect(g.compile({ y: g.add(g.exp(x), g.exp(x)) }).nodes).toBe(once + 1);
    g.tanh(g.exp(x));
    expect(g.compile({ y: g.exp(x) }).nodes).toBe(once);
  });

  it('computes no gradient that is not asked for', () => {
    const [a, b] = [g.parameter('a', [4, 4]), g.parameter('b', [4, 4])];
    const loss = g.sum(g.tanh(g.matmul(g.tanh(g.matmul(g.input('rows', [2, 4]), a)), b)));
    const both = g.compile({ loss, ...Object.fromEntries(g.gradients(loss, [a, b]).map((d, i) => [`d${i}`, d])) });
    const last = g.compile({ loss, d: g.gradients(loss, [b])[0]! });
    expect(last.nodes).toBeLessThan(both.nodes - 3);
  });

  it('folds transposes and constant factors into products', () => {
    const [a, b] = [g.input('a', [3, 4]), g.input('b', [3, 5])];
    expect(g.compile({ y: g.matmul(g.mul(g.transpose(a), 0.5), b) }).nodes).toBe(1);
  });

  it.each([
    [96, 400],
    [400, 96],
  ])('turns the smaller side of a large a^T b, %i x %i, and gives the same product', async (rows, columns) => {
    const [a, b] = [g.input('a', [160, rows]), g.input('b', [160, columns])];
    const y = g.mul(g.matmul(a, b, { transA: true }), 0.5);
    const scaled = { y: g.matmul(g.mul(a, 0.5), b, { transA: true }) };
    const program = g.compile(scaled);
    expect(program.nodes).toBeGreaterThan(3);
    const feeds = {
      a: { shape: [160, rows], data: floats(160 * rows) },
      b: { shape: [160, columns], data: floats(160 * columns, 'y') },
    };
    const [exact] = g.evaluate([y], feeds);
    expect(relativeError((await runOnce(program, feeds)).y!.data as Float32Array, exact!.data)).toBeLessThan(1e-5);
  });

  it('subtracts a bias before a product without computing the gradient of every row', () => {
    const [rows, bias, w] = [g.input('rows', [64, 8]), g.parameter('bias', [8]), g.parameter('w', [8, 32])];
    const loss = g.sum(g.tanh(g.matmul(g.sub(rows, bias), w)));
    const [byBias] = g.gradients(loss, [bias]);
    const shapes: string[] = [];
    const visit = (tensor: g.Tensor) => {
      if (tensor.node.operator.name === 'MatMul') {
        shapes.push(String(tensor));
      }
      tensor.node.inputs.forEach(visit);
    };
    visit(byBias!);
    expect(shapes).toContain('float32[1, 8]');
    expect(shapes).not.toContain('float32[64, 8]');
  });

  it('publishes inputs, constants and one value under several names', async () => {
    const y = g.mul(x, 2);
    const program = g.compile({ x, y, again: y, five: g.scalar(5), kept: g.stopGradient(y) });
    expect(program.outputs.map(({ name }) => name)).toEqual(['x.next', 'y', 'again', 'five', 'kept']);
    const out = await runOnce(program, { x: Float32Array.of(1, 2, 3, 4) });
    expect([...(out['x.next']!.data as Float32Array)]).toEqual([1, 2, 3, 4]);
    for (const name of ['y', 'again', 'kept']) {
      expect([...(out[name]!.data as Float32Array)]).toEqual([2, 4, 6, 8]);
    }
    expect(out.five!.data[0]).toBe(5);
  });

  it('refuses two inputs of one name', () => {
    expect(() => g.compile({ y: g.add(x, g.input('x', [4])) })).toThrow(
      expect.objectContaining({ code: 'name_conflict' }),
    );
  });

  it('handles graphs far deeper than the call stack', async () => {
    let y = x;
    for (let i = 0; i < 20_000; i++) {
      y = g.add(y, 1);
    }
    expect(g.evaluate([y], { x: { shape: [4], data: [0, 1, 2, 3] } })[0]!.data[3]).toBe(20_003);
  });
});

describe('symbolic sizes', () => {
  const ids = g.input('ids', ['batch', 'seq'], 'int64');
  const past = g.input('past', ['batch', 'past', 4]);
  const table = g.constant(floats(20, 'table'), [5, 4]);

  it('pass through gathers, joins, masks, products and reshapes', async () => {
    const now = g.gather(table, ids);
    const all = g.renamed(g.concat([past, now], 1), ['batch', 'total', 4]);
    expect(all.shape).toEqual(['batch', 'total', 4]);
    const heads = g.transpose(g.reshape(all, ['batch', 'total', 2, 2]), [0, 2, 1, 3]);
    const queries = g.transpose(g.reshape(now, ['batch', 'seq', 2, 2]), [0, 2, 1, 3]);
    const scores = g.matmul(queries, heads, { transB: true });
    const places = g.positionsAlong(all, 1);
    const row = g.unsqueeze(g.add(g.positionsAlong(now, 1), g.sizeAlong(past, 1)), 1);
    const weights = g.softmax(g.where(g.lessEqual(g.unsqueeze(places, 0), row), scores, -1e9));
    const mixed = g.transpose(g.matmul(weights, heads), [0, 2, 1, 3]);
    const outputs = { mixed: g.reshape(mixed, ['batch', 'seq', 4]), flat: g.flattenRows(now) };
    expect(outputs.flat.shape).toEqual(['batch*seq', 4]);
    const program = g.compile(outputs);
    for (const [batch, seq, before] of [
      [1, 3, 2],
      [2, 1, 5],
    ] as const) {
      const feeds = {
        ids: { shape: [batch, seq], data: BigInt64Array.from({ length: batch * seq }, (_, i) => BigInt(i % 5)) },
        past: { shape: [batch, before, 4], data: floats(batch * before * 4) },
      };
      const exact = g.evaluate([outputs.mixed, outputs.flat], feeds);
      const out = await runOnce(program, feeds);
      expect(out.mixed!.shape).toEqual([batch, seq, 4]);
      expect(out.flat!.shape).toEqual([batch * seq, 4]);
      expect(relativeError(out.mixed!.data as Float32Array, exact[0]!.data)).toBeLessThan(1e-5);
      expect(exact[1]!.shape).toEqual([batch * seq, 4]);
    }
  });

  it('read sizes that only another input has', async () => {
    const wide = g.expandLike(g.input('column', ['batch', 1]), g.reshape(past, ['batch', 'past*4']));
    const program = g.compile({ wide });
    const feeds = {
      column: { shape: [2, 1], data: Float32Array.of(1, 2) },
      past: { shape: [2, 3, 4], data: new Float32Array(24) },
    };
    expect((await runOnce(program, feeds)).wide!.shape).toEqual([2, 12]);
    expect(g.evaluate([wide], feeds)[0]!.shape).toEqual([2, 12]);
  });
});

describe('stored types', () => {
  it('computes in float32 on weights cast from 16 bits', async () => {
    const x = g.input('x', [2, 3]);
    const half = g.cast(g.cast(x, 'float16'), 'float32');
    const brain = g.cast(g.cast(x, 'bfloat16'), 'float32');
    const out = await runOnce(g.compile({ half, brain }), { x: Float32Array.of(1, -2.5, 0.1, 3, 1e-3, 100) });
    expect(relativeError(out.half!.data as Float32Array, [1, -2.5, 0.1, 3, 1e-3, 100])).toBeLessThan(1e-3);
    expect(relativeError(out.brain!.data as Float32Array, [1, -2.5, 0.1, 3, 1e-3, 100])).toBeLessThan(8e-3);
  });
});
