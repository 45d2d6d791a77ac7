import { describe, expect, it } from 'vitest';
import { applyBarycentre, fitBarycentre, gaussianBarycentre } from '../../../shared/fairness/barycentre.ts';
import { quantile } from '../../../shared/math/quantile.ts';
import { stream } from '../../../shared/math/random.ts';

describe('the Wasserstein barycentre', () => {
  const groups = [
    { share: 0.3, mean: 0, deviation: 1 },
    { share: 0.7, mean: 2, deviation: 3 },
  ];

  it('has the closed form of Gaussian groups', () => {
    const closed = gaussianBarycentre(groups);
    expect(closed.mean).toBeCloseTo(1.4, 12);
    expect(closed.deviation).toBeCloseTo(2.4, 12);
    expect(closed.cost).toBeCloseTo(1.68, 12);
    expect(closed.map(2, 1)).toBeCloseTo(1.4, 12);
    expect(closed.map(1, 0)).toBeCloseTo(3.8, 12);
  });

  it('approaches that closed form on samples and gives the groups one distribution', () => {
    const n = 40_000;
    const normal = stream(2, 'scores').normal(n);
    const groupIds = Uint8Array.from({ length: n }, (_, i) => Number(i % 10 >= 3));
    const scores = normal.map((z, i) => groups[groupIds[i]!]!.mean + groups[groupIds[i]!]!.deviation * z);
    const fitted = fitBarycentre(scores, groupIds, 2);
    expect([...fitted.shares]).toEqual([0.3, 0.7]);
    const mapped = applyBarycentre(fitted, scores, groupIds);
    const closed = gaussianBarycentre(groups);
    let [cost, gap] = [0, 0];
    mapped.forEach((value, i) => {
      cost += (value - scores[i]!) ** 2 / n;
      if (Math.abs(normal[i]!) < 2) {
        gap = Math.max(gap, Math.abs(value - closed.map(scores[i]!, groupIds[i]!)));
      }
    });
    expect(cost).toBeCloseTo(1.68, 1);
    expect(gap).toBeLessThan(0.25);
    const sides = [0, 1].map((g) => mapped.filter((_, i) => groupIds[i] === g).sort());
    for (const u of [0.05, 0.3, 0.5, 0.8, 0.95]) {
      expect(Math.abs(quantile(sides[0]!, u, 'hazen') - quantile(sides[1]!, u, 'hazen'))).toBeLessThan(0.12);
    }
  });

  it('is the identity for equal groups fitted on all scores, and keeps ties together', () => {
    const scores = [1, 2, 2, 4, 1, 2, 2, 4];
    const groupIds = [0, 0, 0, 0, 1, 1, 1, 1];
    const fitted = fitBarycentre(scores, groupIds, 2, { split: false });
    const mapped = applyBarycentre(fitted, scores, groupIds);
    expect([...mapped]).toEqual(scores);
    expect(applyBarycentre(fitted, [-5, 9], [0, 1])).toEqual(Float64Array.from([1, 4]));
  });

  it('refuses groups it cannot map', () => {
    expect(() => fitBarycentre([1, 2, 3], [0, 0, 0], 1)).toThrow(/needs 4/);
    expect(() => applyBarycentre(fitBarycentre([1, 2, 3, 4], [0, 0, 0, 0], 1), [1], [1])).toThrow(/no calibration/);
  });
});
