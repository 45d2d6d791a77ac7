import { describe, expect, it } from 'vitest';
import { criticalLambda, idleTile } from '../../../../gpu-worker/block-sparse/layer/critical-lambda.ts';

/** Half a cosine from `rate` to 0, as the reference runs used it. */
const cosine = (rate: number, steps: number) =>
  Array.from({ length: steps }, (_, k) => rate * 0.5 * (1 + Math.cos((Math.PI * k) / steps)));

describe('the critical penalty', () => {
  const schedule = { rates: cosine(0.2, 600), momentum: 0.9 };

  it('is 1.67e-3 for the schedule of the reference runs', () => {
    expect(criticalLambda(schedule)).toBeCloseTo(1.664e-3, 6);
  });

  it('is where an idle tile dies', () => {
    const critical = criticalLambda(schedule);
    expect(idleTile(schedule, 0.99 * critical)).toBeCloseTo(0.01, 9);
    expect(idleTile(schedule, 1.01 * critical)).toBe(0);
    expect(criticalLambda(schedule, 0.5)).toBeCloseTo(critical / 2, 12);
  });
});

/** (8): without decay on A the L1 norm of S means nothing; with it, it is a group penalty of exponent 2/3. */
it.each([0.1, 1, 5])(
  'with decay on A the penalty on a tile of norm %d is 1.5 lambda^(2/3) mu^(1/3) norm^(2/3)',
  (norm) => {
    const [lambda, mu] = [0.3, 0.07];
    const at = (s: number) => lambda * s + (0.5 * mu * norm ** 2) / s ** 2;
    let [low, high] = [1e-6, 1e3];
    for (let i = 0; i < 200; i++) {
      const [a, b] = [low + (high - low) / 3, high - (high - low) / 3];
      if (at(a) < at(b)) {
        high = b;
      } else {
        low = a;
      }
    }
    expect(at(low)).toBeCloseTo(1.5 * lambda ** (2 / 3) * mu ** (1 / 3) * norm ** (2 / 3), 6);
  },
);
