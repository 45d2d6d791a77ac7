import { describe, expect, it } from 'vitest';
import { bootstrapOverUnits } from '../../../gpu-worker/study/index.ts';
import { stream } from '../../../shared/math/random.ts';

/** Tokens and summed losses of documents; the measure is the mean over tokens. */
function documents(seed: number, count: number): Float64Array {
  const random = stream(seed, 'documents');
  const lengths = random.derive('length').uniform(count);
  const means = random.derive('mean').normal(count);
  return Float64Array.from({ length: 2 * count }, (_, i) => {
    const tokens = 5 + Math.floor(50 * lengths[i >> 1]!);
    return i % 2 === 0 ? tokens : tokens * (2 + means[i >> 1]!);
  });
}
const perToken = {
  parts: 2,
  size: 1,
  measures: (sums: Float64Array, out: Float64Array) => {
    out[0] = sums[1]! / sums[0]!;
  },
};

describe('a bootstrap over documents', () => {
  it('covers the truth about as often as it says, with either kind of interval', () => {
    for (const kind of ['percentile', 'bca'] as const) {
      let covered = 0;
      for (let seed = 0; seed < 200; seed++) {
        const random = stream(seed, 'draws');
        const [interval] = bootstrapOverUnits({ ...perToken, sums: documents(seed, 60), random, draws: 400, kind })!;
        if (interval!.low <= 2 && 2 <= interval!.high) {
          covered += 1;
        }
      }
      // 95 % of 200 with a standard deviation of 3; small samples cover a little less.
      expect(covered, kind).toBeGreaterThan(178);
      expect(covered, kind).toBeLessThan(199);
    }
  });

  it('has as its percentile interval the percentiles of the draws', () => {
    const sums = Float64Array.from([1, 0, 1, 1, 1, 2]);
    const random = () => stream(5, 'draws');
    const [wide] = bootstrapOverUnits({ ...perToken, sums, random: random(), draws: 2000, level: 0.99 })!;
    expect(wide!.estimate).toBe(1);
    expect([wide!.low, wide!.high]).toEqual([0, 2]);
    // Standard deviation of the mean of three draws from {0, 1, 2}.
    expect(wide!.error).toBeCloseTo(Math.sqrt(2 / 3 / 3), 1);
    const [half] = bootstrapOverUnits({ ...perToken, sums, random: random(), draws: 2000, level: 0.5 })!;
    expect([half!.low, half!.high]).toEqual([2 / 3, 4 / 3]);
  });

  it('says nothing of a single document', () => {
    expect(bootstrapOverUnits({ ...perToken, sums: documents(1, 1), random: stream(1, 'd') })).toBeNull();
  });
});
