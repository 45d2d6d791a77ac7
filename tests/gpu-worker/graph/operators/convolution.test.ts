import { expect, it } from 'vitest';
import * as g from '../../../../gpu-worker/graph/index.ts';
import { stream } from '../../../../shared/math/random.ts';
import { relativeError } from '../sources.ts';

it.each([
  [1, 0],
  [1, 2],
  [2, 1],
  [3, 2],
])('a transposed convolution is the adjoint of the convolution (stride %i, padding %i)', (stride, padding) => {
  const random = stream(1, 'adjoint');
  const [x, y] = [g.input('x', [2, 3, 4]), g.input('y', [2, 5, (4 - 1) * stride + 5 - 2 * padding])];
  const w = g.input('w', [3, 5, 5]);
  const feeds = {
    x: { shape: x.shape as number[], data: random.normal(24) },
    y: { shape: y.shape as number[], data: random.normal(10 * (y.shape[2] as number), { start: 100 }) },
    w: { shape: [3, 5, 5], data: random.normal(75, { start: 500 }) },
  };
  const up = g.sum(g.mul(g.transposedConv1d(x, w, { stride, padding }), y));
  const down = g.sum(g.mul(x, g.conv1d(y, w, { stride, padding })));
  const [a, b] = g.evaluate([up, down], feeds);
  expect(relativeError(a!.data, b!.data)).toBeLessThan(1e-12);
});
