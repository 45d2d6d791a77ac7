import { expect, it } from 'vitest';
import { quantile } from '../../../shared/math/quantile.ts';

it('gives the quantiles of numpy by every definition', () => {
  const sorted = [1, 2, 4, 8, 16];
  const levels = [0, 0.1, 0.25, 0.5, 0.9, 1];
  // numpy.quantile(sorted, levels), and with method='hazen' and 'weibull'.
  expect(levels.map((level) => quantile(sorted, level))).toEqual([1, 1.4, 2, 4, 12.8, 16]);
  expect(levels.map((level) => quantile(sorted, level, 'hazen'))).toEqual([1, 1, 1.75, 4, 16, 16]);
  const weibull = levels.map((level) => quantile(sorted, level, 'weibull'));
  expect(weibull).toEqual([1, 1, 1.5, 4, 16, 16]);
  expect(quantile([3], 0.2)).toBe(3);
  expect(() => quantile([], 0.5)).toThrow(RangeError);
});
