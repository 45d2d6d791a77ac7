import { describe, expect, it } from 'vitest';
import { differenceInMeans, meanOfRows, unitVector } from '../../../gpu-worker/directions/difference-in-means.ts';
import { plantedDictionary } from '../../support/planted-dictionary.ts';

describe('difference in means', () => {
  it.each([64, 256, 1024])('meets the closed form of its error with %i samples a class', (count) => {
    const axes = 24;
    const cosines: number[] = [];
    let expected = 0;
    for (let trial = 0; trial < 12; trial++) {
      const data = plantedDictionary({
        axes,
        width: axes,
        active: 2,
        signed: true,
        orthonormal: true,
        samples: count * 40,
        seed: 100 + trial,
      });
      const rows = { positive: [] as number[], negative: [] as number[] };
      for (let row = 0; row < count * 40; row++) {
        const value = data.coefficients[row * axes]!;
        const side = value > 0 ? rows.positive : value < 0 ? rows.negative : null;
        if (side && side.length < count) {
          side.push(row);
        }
      }
      const take = (which: readonly number[]) => {
        const out = new Float32Array(which.length * axes);
        which.forEach((row, i) => {
          out.set(data.x.subarray(row * axes, (row + 1) * axes), i * axes);
        });
        return out;
      };
      const means = [rows.positive, rows.negative].map((which) => meanOfRows([take(which)], axes));
      const direction = differenceInMeans(means[0]!, means[1]!);
      cosines.push(direction[0]!);
      // One other axis of 23 is active with second moment 7/3; the classes lie 2 x 1.5 apart.
      const perpendicular = 7 / 3;
      expected = 1 / Math.sqrt(1 + (2 * perpendicular) / (count * 9));
    }
    const mean = cosines.reduce((sum, value) => sum + value, 0) / cosines.length;
    expect(Math.abs(mean - expected)).toBeLessThan(0.35 * (1 - expected));
  });
});

it('refuses what has no direction', () => {
  expect(() => unitVector([0, 0])).toThrow(/zero vector/);
  const mean = meanOfRows([Float32Array.of(1, 2)], 2);
  expect(() => differenceInMeans(mean, mean)).toThrow(/same mean/);
  expect(() => meanOfRows([], 3)).toThrow(/no activations/);
  expect([...unitVector([3, 4])]).toEqual([Math.fround(0.6), Math.fround(0.8)]);
  expect(meanOfRows([Float32Array.of(3, 4), Float32Array.of(0, 0)], 2)).toMatchObject({ norm: 2.5, tokens: 2 });
});
