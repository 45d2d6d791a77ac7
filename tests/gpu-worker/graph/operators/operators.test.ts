import { describe, expect, it } from 'vitest';
import * as g from '../../../../gpu-worker/graph/index.ts';
import { Session } from '../../../../gpu-worker/runtime/index.ts';
import { stream } from '../../../../shared/math/random.ts';
import { type Case, cases } from '../cases.ts';
import { collector, relativeError } from '../sources.ts';

const SEEDS = [1, 2, 3];

/** The case's output, a scalar loss that weighs its elements at random, and the gradients by all float inputs. */
function build(item: Case, seed: number) {
  const { sources, tensors, feeds } = collector(seed);
  const output = item.build(sources);
  const n = output.shape.reduce<number>((size, dim) => size * (dim as number), 1);
  const weights = g.constant(stream(seed, 'weights').uniform(n, { low: -1, high: 1 }), output.shape as number[]);
  const loss = g.sum(g.mul(output, weights));
  const byInput = new Map<string, g.Tensor>();
  for (const tensor of tensors.filter(({ dtype }) => dtype === 'float32')) {
    try {
      byInput.set(g.nameOf(tensor), g.gradients(loss, [tensor])[0]!);
    } catch (error) {
      if (!(error instanceof g.GraphError && error.code === 'gradient_unreachable')) {
        throw error;
      }
    }
  }
  return { output, loss, byInput, feeds };
}

describe('every operator', () => {
  it('is covered by a case', () => {
    const covered = new Set(cases.map(({ operator }) => operator));
    expect([...covered].sort()).toEqual([...new Set(g.operators.map(({ name }) => name))].sort());
  });

  it.each(cases.map((item) => [`${item.operator} ${item.variant ?? ''}`.trim(), item] as const))(
    '%s',
    async (_, item) => {
      for (const seed of SEEDS) {
        const { output, loss, byInput, feeds } = build(item, seed);
        expect(byInput.size, 'inputs with a gradient').toBeGreaterThan(0);
        const exact = g.evaluate([output, ...byInput.values()], feeds);

        [...byInput.keys()].forEach((name, i) => {
          expect(
            relativeError(exact[i + 1]!.data, centralDifferences(loss, feeds, name)),
            `d ${name}, seed ${seed}`,
          ).toBeLessThan(1e-6);
        });

        const program = g.compile({
          output,
          ...Object.fromEntries([...byInput].map(([name, by]) => [`by ${name}`, by])),
        });
        const session = await Session.create(program, { threads: 1 });
        const used = Object.fromEntries(program.inputs.map(({ name }) => [name, feeds[name]!]));
        const actual = await session.run(used);
        await session.release();
        program.outputs.forEach(({ name }, i) => {
          expect(
            relativeError(actual[name]!.data as Float32Array, exact[i]!.data),
            `${name}, seed ${seed}`,
          ).toBeLessThan(1e-4);
          expect(actual[name]!.shape).toEqual(exact[i]!.shape);
        });
      }
    },
  );
});

/** d loss / d input by central differences on the float64 evaluator. */
function centralDifferences(loss: g.Tensor, feeds: ReturnType<typeof build>['feeds'], name: string): Float64Array {
  const { shape, data } = feeds[name]!;
  const h = 1e-5;
  return Float64Array.from({ length: data.length }, (_, i) => {
    const at = (offset: number) => {
      const moved = Float64Array.from(data as Float32Array);
      moved[i]! += offset;
      return g.evaluate([loss], { ...feeds, [name]: { shape, data: moved } })[0]!.data[0]!;
    };
    return (at(h) - at(-h)) / (2 * h);
  });
}
