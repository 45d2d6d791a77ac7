import { describe, expect, it } from 'vitest';
import { cosineRate, fanIn, unitRows, warmUp } from '../../../gpu-worker/nn/index.ts';
import { stream } from '../../../shared/math/random.ts';

describe('schedules, by step from 1', () => {
  it.each([
    [
      'cosine',
      cosineRate(1, 11),
      [
        [1, 1],
        [6, 0.5],
        [11, 0],
        [12, 0],
      ],
    ],
    [
      'warm-up',
      warmUp(4, () => 1),
      [
        [1, 0.25],
        [4, 1],
        [9, 1],
      ],
    ],
  ] as const)('%s', (_, schedule, expected) => {
    for (const [step, rate] of expected) {
      expect(schedule(step)).toBeCloseTo(rate, 12);
    }
  });
});

describe('initialisers', () => {
  const variance = (values: ArrayLike<number>) =>
    Array.from(values).reduce((sum, value) => sum + value ** 2, 0) / values.length;
  it('have the variance they promise', () => {
    const shape = [200, 300];
    expect(variance(fanIn(-2)(shape, stream(1, 'f'))) * 200).toBeCloseTo(1, 1);
    expect(variance(fanIn(-1, 2)(shape, stream(1, 'f'))) * 300).toBeCloseTo(4, 0);
  });
  it('give unit rows', () => {
    const rows = Array.from(unitRows([7, 5], stream(1, 'u')));
    for (let i = 0; i < 7; i++) {
      expect(Math.hypot(...rows.slice(5 * i, 5 * i + 5))).toBeCloseTo(1, 12);
    }
  });
});
