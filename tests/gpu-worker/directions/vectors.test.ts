import { expect, it } from 'vitest';
import { centralBand } from '../../../gpu-worker/directions/controls.ts';
import { areaUnderCurve } from '../../../gpu-worker/directions/vectors.ts';
import { stream } from '../../../shared/math/random.ts';

it('counts the pairs in order, ties half', () => {
  const high = [...stream(1, 'high').integers(40, 12)];
  const low = [...stream(1, 'low').integers(30, 9)];
  let pairs = 0;
  for (const a of high) {
    for (const b of low) {
      pairs += a > b ? 1 : a === b ? 0.5 : 0;
    }
  }
  expect(areaUnderCurve(high, low)).toBeCloseTo(pairs / (high.length * low.length), 12);
});

it('lies the central 95 % of 39 values from the lowest to the highest', () => {
  const values = Array.from({ length: 39 }, (_, i) => (7 * i) % 39);
  expect(centralBand(values)).toEqual({ low: 0, high: 38, mean: 19, directions: 39 });
  expect(centralBand(Array.from({ length: 199 }, (_, i) => i))).toMatchObject({ low: 4, high: 194 });
});
