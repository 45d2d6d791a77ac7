import { describe, expect, it } from 'vitest';
import * as g from '../../../gpu-worker/graph/index.ts';
import { rotary, rotaryTables } from '../../../gpu-worker/lm/rotary.ts';
import { splitSoftmax } from '../../../gpu-worker/lm/split-softmax.ts';
import { Session } from '../../../gpu-worker/runtime/index.ts';
import { stream } from '../../../shared/math/random.ts';
import { gap } from '../../support/tiny-model.ts';

async function both(
  outputs: Record<string, g.Tensor>,
  feeds: Record<string, { shape: number[]; data: Float32Array | BigInt64Array }>,
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
