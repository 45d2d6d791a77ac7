import { describe, expect, it } from 'vitest';
import { matchL0 } from '../../../../gpu-worker/compression/autoencoders/matched-l0.ts';

/** Trains nothing: L0 as a function of the coefficient. */
const along = (l0: (coefficient: number) => number) => {
  const tried: number[] = [];
  const train = async (coefficient: number) => {
    tried.push(coefficient);
    return { found: coefficient, l0: l0(coefficient) };
  };
  return { tried, train };
};

describe('the coefficient at which L0 matches', () => {
  it('stays where it matches already', async () => {
    const { tried, train } = along((c) => 0.1 / c);
    expect(await matchL0(train, 0.01, 10)).toMatchObject({ coefficient: 0.01, trainings: 1 });
    expect(tried).toEqual([0.01]);
  });

  it.each([
    ['a power law', (c: number) => 0.02 * c ** -0.6],
    ['a curve that falls off', (c: number) => 60 * Math.exp(-200 * c) + 1],
    ['a step of dead latents', (c: number) => (c > 0.02 ? 0 : 0.05 / c)],
  ])('is found along %s', async (_, l0) => {
    for (const start of [0.0005, 0.004, 0.05]) {
      const { train } = along(l0);
      const { l0: found, trainings } = await matchL0(train, start, 12);
      expect([start, Math.abs(found / 12 - 1) <= 0.1]).toEqual([start, true]);
      expect(trainings).toBeLessThanOrEqual(6);
    }
  });

  it('gives the nearest where no coefficient does it', async () => {
    const { tried, train } = along(() => 40);
    const { l0, trainings } = await matchL0(train, 0.004, 12);
    expect({ l0, trainings }).toEqual({ l0: 40, trainings: 6 });
    expect(tried.every((c, i) => i === 0 || c > tried[i - 1]!)).toBe(true);
  });
});
