import { expect, it } from 'vitest';
import * as g from '../../../gpu-worker/graph/index.ts';
import { Session } from '../../../gpu-worker/runtime/index.ts';
import { stream } from '../../../shared/math/random.ts';
import { relativeError } from './sources.ts';

const [ROWS, COLUMNS] = [3, 4];
type Step = (a: g.Tensor, b: g.Tensor) => g.Tensor;
/** Smooth steps that keep the shape [3, 4] and values of moderate size. */
const STEPS: Step[] = [
  (a, b) => g.add(a, b),
  (a, b) => g.sub(a, g.mul(b, 0.5)),
  (a, b) => g.mul(g.tanh(a), b),
  (a, b) => g.div(a, g.add(g.square(b), 1)),
  (a) => g.gelu(a),
  (a) => g.silu(a),
  (a) => g.softplus(a),
  (a) => g.softmax(a),
  (a) => g.logSoftmax(a, 0),
  (a, b) => g.mul(g.matmul(g.matmul(a, b, { transB: true }), a), 0.1),
  (a, b) => g.sub(a, g.mean(b, 0)),
  (a, b) => g.add(a, g.logSumExp(b, 1, true)),
  (a) => g.layerNorm(a, g.filled([COLUMNS], 1), g.filled([COLUMNS], 0), 0.1),
  (a, b) => g.slice(g.concat([a, b], 1), 1, 2, 2 + COLUMNS),
  (a) => g.reverse(g.transpose(g.reshape(a, [COLUMNS, ROWS])), 0),
  (a, b) => g.where(g.greater(g.stopGradient(a), 0), a, b),
  (a) => g.cumulativeSum(g.mul(a, 0.5), 1),
];

it.each(Array.from({ length: 25 }, (_, seed) => seed))('random graph %i: gradients and values agree', async (seed) => {
  const random = stream(seed, 'graph');
  const picks = random.integers(40, 1000);
  const inputs = ['a', 'b', 'c'].map((name) => g.input(name, [ROWS, COLUMNS]));
  const values = [...inputs];
  for (let i = 0; i < 10; i++) {
    const pick = (offset: number, among: number) => picks[3 * i + offset]! % among;
    values.push(
      STEPS[pick(0, STEPS.length)]!(values[pick(1, values.length)]!, values[values.length - 1 - pick(2, 2)]!),
    );
  }
  const loss = g.mean(g.square(g.addAll(values)));
  const feeds = Object.fromEntries(
    ['a', 'b', 'c'].map((name) => [
      name,
      { shape: [ROWS, COLUMNS], data: stream(seed, name).normal32(ROWS * COLUMNS) },
    ]),
  );
  const gradients = g.gradients(loss, inputs);
  const exact = g.evaluate([loss, ...gradients], feeds);
  inputs.forEach((input, which) => {
    const name = g.nameOf(input);
    const numeric = Float64Array.from({ length: ROWS * COLUMNS }, (_, i) => {
      const at = (offset: number) => {
        const data = Float64Array.from(feeds[name]!.data);
        data[i]! += offset;
        return g.evaluate([loss], { ...feeds, [name]: { shape: [ROWS, COLUMNS], data } })[0]!.data[0]!;
      };
      return (at(1e-5) - at(-1e-5)) / 2e-5;
    });
    expect(relativeError(exact[which + 1]!.data, numeric), `seed ${seed}, d ${name}`).toBeLessThan(1e-6);
  });
  const session = await Session.create(g.compile({ loss, da: gradients[0]!, db: gradients[1]!, dc: gradients[2]! }), {
    threads: 1,
  });
  const out = await session.run(feeds);
  await session.release();
  ['loss', 'da', 'db', 'dc'].forEach((name, i) => {
    expect(relativeError(out[name]!.data as Float32Array, exact[i]!.data), `seed ${seed}, ${name}`).toBeLessThan(1e-4);
  });
});
