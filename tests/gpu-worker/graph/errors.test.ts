import { describe, expect, it } from 'vitest';
import * as g from '../../../gpu-worker/graph/index.ts';

const x = g.input('x', [4, 3]);
const cases: [string, g.GraphErrorCode, RegExp, () => unknown][] = [
  [
    'inner sizes',
    'shape_mismatch',
    /^MatMul\(float32\[4, 3\], float32\[4, 3\]\): inner sizes 3 and 4/,
    () => g.matmul(x, x),
  ],
  ['broadcasting', 'shape_mismatch', /^Add\(.*sizes 3 and 2 do not broadcast/, () => g.add(x, g.input('y', [2]))],
  ['symbols that differ', 'shape_mismatch', /sizes a and b/, () => g.add(g.input('p', ['a']), g.input('q', ['b']))],
  ['element types', 'dtype_mismatch', /float32 and int64 differ; cast/, () => g.add(x, g.input('i', [3], 'int64'))],
  ['conditions', 'dtype_mismatch', /condition must be bool/, () => g.where(x, 1, 0)],
  ['positions', 'dtype_mismatch', /positions must be/, () => g.gather(x, x)],
  ['axes', 'argument_invalid', /axis 2 is outside/, () => g.sum(x, 2)],
  ['top-k', 'argument_invalid', /k = 9 is outside 1..3/, () => g.topK(x, 9)],
  ['reshape', 'shape_mismatch', /12 elements do not fill \[5, 2\]/, () => g.reshape(x, [5, 2])],
  ['two unknown sizes', 'shape_unknown', /more than one size/, () => g.reshape(g.input('f', ['n', 6]), ['a', 'b', 2])],
  ['slices', 'argument_invalid', /positions 2..5 by 1 are outside/, () => g.slice(x, 0, 2, 6)],
  ['joins', 'shape_mismatch', /sizes other than axis 0 must agree/, () => g.concat([x, g.input('z', [4, 2])], 0)],
  ['split sizes', 'shape_mismatch', /do not add up/, () => g.split(x, [1, 1], 1)],
  ['orders of axes', 'argument_invalid', /is not an order/, () => g.transpose(x, [0, 0])],
  [
    'windows',
    'shape_mismatch',
    /a window of 9 does not fit/,
    () => g.conv1d(g.input('s', [1, 1, 4]), g.input('w', [1, 1, 9])),
  ],
  ['norm scales', 'shape_mismatch', /scale must have the size of the last axis/, () => g.rmsNorm(x, g.input('s', [4]))],
  ['constants', 'shape_mismatch', /5 values do not fill \[2, 2\]/, () => g.constant([1, 2, 3, 4, 5], [2, 2])],
  ['zero sizes', 'dimension_invalid', /positive integers, got 0/, () => g.input('empty', [0, 3])],
  ['fractions', 'dimension_invalid', /got 1.5/, () => g.input('half', [1.5])],
  ['overflow', 'size_overflow', /more than 2\^40 elements/, () => g.input('huge', [2 ** 30, 2 ** 30])],
  ['overflow of a result', 'size_overflow', /Add/, () => g.add(g.input('a', [2 ** 21, 1]), g.input('b', [2 ** 21]))],
];

describe('errors while building', () => {
  it.each(cases)('%s', (_, code, message, build) => {
    expect(build).toThrow(expect.objectContaining({ code }));
    expect(build).toThrow(message);
  });

  it("name the caller's file and line", () => {
    expect(() => g.matmul(x, x)).toThrow(new RegExp(`at ${import.meta.filename}:\\d+$`));
  });
});

describe('gradients that do not exist', () => {
  const w = g.parameter('w', [3]);
  it('of a loss with several elements', () => {
    expect(() => g.gradients(w, [w])).toThrow(expect.objectContaining({ code: 'gradient_undefined' }));
  });
  it.each([
    ['a comparison', () => g.sum(g.indicator(g.greater(w, 0)))],
    ['a sign', () => g.sum(g.sign(w))],
    ['a stopped gradient', () => g.sum(g.stopGradient(w))],
    ['nothing at all', () => g.sum(x)],
  ])('through %s', (_, loss) => {
    expect(() => g.gradients(loss(), [w])).toThrow(expect.objectContaining({ code: 'gradient_unreachable' }));
    expect(() => g.gradients(loss(), [w])).toThrow(/'w'/);
  });
  it('of user-defined gradients with a wrong shape', () => {
    const wrong = g.withGradient(g.exp(w), [w], (dy) => [g.sum(dy)]);
    expect(() => g.gradients(g.sum(wrong), [w])).toThrow(expect.objectContaining({ code: 'shape_mismatch' }));
  });
});
