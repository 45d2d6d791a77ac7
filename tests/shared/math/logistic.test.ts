import { describe, expect, it } from 'vitest';
import { logisticRegression } from '../../../shared/math/logistic.ts';
import { stream } from '../../../shared/math/random.ts';
import { sigmoid } from '../../../shared/math/special.ts';

describe('logistic regression', () => {
  const n = 4000;
  const x = stream(5, 'x').normal(2 * n);
  const u = stream(5, 'u').uniform(n);
  const y = Float64Array.from({ length: n }, (_, i) => Number(u[i]! < sigmoid(1.5 * x[2 * i]! - x[2 * i + 1]! + 0.3)));

  it('has a vanishing gradient and finds the planted coefficients', () => {
    const l2 = 1e-3;
    const beta = logisticRegression(x, y, 2, { l2 });
    const gradient = [l2 * beta[0]!, l2 * beta[1]!, 0];
    for (let i = 0; i < n; i++) {
      const residual = sigmoid(beta[0]! * x[2 * i]! + beta[1]! * x[2 * i + 1]! + beta[2]!) - y[i]!;
      [x[2 * i]!, x[2 * i + 1]!, 1].forEach((value, j) => {
        gradient[j]! += (residual * value) / n;
      });
    }
    for (const value of gradient) {
      expect(Math.abs(value)).toBeLessThan(1e-8);
    }
    expect(Math.hypot(beta[0]! - 1.5, beta[1]! + 1, beta[2]! - 0.3)).toBeLessThan(0.2);
  });

  it('counts a weighted row as so many rows, and restricts to chosen rows', () => {
    const rows = Uint32Array.from({ length: 100 }, (_, i) => 3 * i);
    const weights = Float64Array.from({ length: n }, (_, i) => Number(i % 3 === 0 && i < 300));
    const a = logisticRegression(x, y, 2, { rows });
    const b = logisticRegression(x, y, 2, { weights });
    a.forEach((value, j) => {
      expect(value).toBeCloseTo(b[j]!, 9);
    });
  });

  it('stays finite on separable rows and refuses what has no fit', () => {
    const beta = logisticRegression(Float64Array.from([-1, 1]), [0, 1], 1);
    expect(Number.isFinite(beta[0])).toBe(true);
    expect(() => logisticRegression(x, y, 2, { l2: 0 })).toThrow(RangeError);
    expect(() => logisticRegression(x, y, 2, { rows: [] })).toThrow(RangeError);
  });
});
