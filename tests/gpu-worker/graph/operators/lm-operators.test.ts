import { describe, expect, it } from 'vitest';
import * as g from '../../../../gpu-worker/graph/index.ts';
import { type FusedAttributes, fusedAttention } from '../../../../gpu-worker/lm/network/fused-attention.ts';
import { rotary, rotaryTables } from '../../../../gpu-worker/lm/network/rotary.ts';
import { splitSoftmax } from '../../../../gpu-worker/lm/network/split-softmax.ts';
import { Session } from '../../../../gpu-worker/runtime/index.ts';
import { stream } from '../../../../shared/math/random.ts';
import { gap } from '../../../support/tiny-model.ts';

async function both(
  outputs: Record<string, g.Tensor>,
  feeds: Record<string, { shape: number[]; data: Float32Array | BigInt64Array | Int32Array }>,
) {
  const exact = g.evaluate(Object.values(outputs), feeds);
  const session = await Session.create(g.compile(outputs), { threads: 1 });
  const found = await session.run(feeds);
  await session.release();
  return Object.keys(outputs).map((name, i) => [found[name]!.data as Float32Array, exact[i]!.data] as const);
}
const noise = (shape: number[], name: string) => ({
  shape,
  data: stream(1, name).normal32(shape.reduce((a, b) => a * b, 1)),
});

describe('rotary embedding', () => {
  it.each([8, 4])(
    'of %i entries agrees with its definition, turns without stretching, and turns back',
    async (dims) => {
      const rope = { theta: 100, dims, period: dims, scaling: null };
      const tables = rotaryTables(rope, 16);
      const table = (data: Float32Array) => ({ shape: [16, dims / 2], data });
      const x = noise([2, 3, 16], 'x');
      const positions = g.input('positions', [2, 3], 'int64');
      const [cosines, sines] = [g.input('cosines', [16, dims / 2]), g.input('sines', [16, dims / 2])];
      const attributes = { heads: 2, headDim: 8, dims };
      const y = rotary(g.input('x', [2, 3, 16]), positions, { cosines, sines }, attributes);
      const back = rotary(y, positions, { cosines, sines: g.neg(sines) }, attributes);
      const feeds = {
        x,
        positions: { shape: [2, 3], data: BigInt64Array.of(0n, 5n, 9n, 3n, 3n, 15n) },
        cosines: table(tables.cosines),
        sines: table(tables.sines),
      };
      const [turned, returned] = await both({ y, back }, feeds);
      expect(gap(turned![0], turned![1])).toBeLessThan(1e-5);
      expect(gap(returned![0], x.data)).toBeLessThan(1e-5);
      expect(
        Math.abs(Math.hypot(...turned![0].subarray(16, 24)) - Math.hypot(...x.data.subarray(16, 24))),
      ).toBeLessThan(1e-5);
      expect(gap(turned![0].subarray(0, 16), x.data.subarray(0, 16))).toBe(0);
      expect(gap(turned![0], x.data)).toBeGreaterThan(0.1);
    },
  );
});

describe('a softmax over two blocks', () => {
  it('is the softmax of both together', async () => {
    const [a, b] = [noise([2, 3, 5], 'a'), noise([2, 3, 2], 'b')];
    const [left, right] = splitSoftmax(g.input('a', ['n', 3, 'p']), g.input('b', ['n', 3, 'q']));
    const [first, second] = await both({ left, right }, { a, b });
    expect(gap(first![0], first![1])).toBeLessThan(1e-6);
    expect(gap(second![0], second![1])).toBeLessThan(1e-6);
    for (let row = 0; row < 6; row++) {
      const parts = [...first![0].subarray(row * 5, row * 5 + 5), ...second![0].subarray(row * 2, row * 2 + 2)];
      expect(parts.reduce((s, p) => s + p, 0)).toBeCloseTo(1, 6);
      expect(parts[5]! / parts[0]!).toBeCloseTo(Math.exp(b.data[row * 2]! - a.data[row * 5]!), 4);
    }
  });
});

describe('attention in one node', () => {
  const [heads, kvHeads, capacity] = [4, 2, 12];
  it.each<[string, number, Omit<FusedAttributes, 'heads' | 'kvHeads' | 'scale'>]>([
    ['one new position, turned here', 1, { headDim: 16, cap: null, window: null, dims: 16 }],
    ['a window', 1, { headDim: 16, cap: null, window: 3, dims: 16 }],
    ['a window and a cap, turned before', 1, { headDim: 8, cap: 5, window: 4, dims: 0 }],
    ['a part of each head turned', 1, { headDim: 32, cap: null, window: null, dims: 16 }],
    ['a prompt', 5, { headDim: 16, cap: null, window: null, dims: 16 }],
    ['a prompt with a window and a cap', 5, { headDim: 16, cap: 2, window: 3, dims: 16 }],
  ])('agrees with its definition: %s', async (_what, seq, attributes) => {
    const { headDim, dims } = attributes;
    const cache = ['b', kvHeads, 'capacity', headDim];
    const table = rotaryTables({ theta: 100, dims: 16, period: 16, scaling: null }, 32);
    const out = fusedAttention(
      {
        q: g.input('q', ['b', seq, heads * headDim]),
        k: g.input('k', ['b', seq, kvHeads * headDim]),
        v: g.input('v', ['b', seq, kvHeads * headDim]),
        past: { keys: g.input('keys', cache), values: g.input('values', cache) },
        last: g.input('last', ['b'], 'int32'),
        total: g.input('total', [], 'int32'),
        tables: dims > 0 ? { cosines: g.input('cosines', [32, 8]), sines: g.input('sines', [32, 8]) } : null,
      },
      { ...attributes, heads, kvHeads, scale: 0.3 },
    );
    const last = seq === 1 ? [2, 7, 9] : [4, 4, 4];
    const feeds = {
      q: noise([3, seq, heads * headDim], 'q'),
      k: noise([3, seq, kvHeads * headDim], 'k'),
      v: noise([3, seq, kvHeads * headDim], 'v'),
      keys: noise([3, kvHeads, capacity, headDim], 'keys'),
      values: noise([3, kvHeads, capacity, headDim], 'values'),
      last: { shape: [3], data: Int32Array.from(last) },
      total: { shape: [], data: Int32Array.of(Math.max(...last) + 1) },
      ...(dims > 0 && {
        cosines: { shape: [32, 8], data: table.cosines },
        sines: { shape: [32, 8], data: table.sines },
      }),
    };
    const [[found, exact]] = (await both({ out }, feeds)) as [readonly [Float32Array, Float64Array]];
    expect(gap(found, exact)).toBeLessThan(2e-6);
  });

  it('refuses heads that the runtime has no form for', () => {
    const q = g.input('q', [1, 1, 12]);
    const one = g.input('one', [1], 'int32');
    const attributes = { heads: 1, kvHeads: 1, headDim: 12, scale: 1, cap: null, window: null, dims: 0 };
    expect(() =>
      fusedAttention({ q, k: q, v: q, past: null, last: one, total: one, tables: null }, attributes),
    ).toThrow(/heads of 12 with 0 turned entries/);
  });
});
