import { describe, expect, it } from 'vitest';
import { convergedLogistic } from '../../../gpu-worker/study/converged-logistic.ts';
import { stream } from '../../../shared/math/random.ts';

describe('logistic regressions that are judged', () => {
  const n = 300;
  const x = stream(3, 'x').normal(n);
  const y = Float64Array.from(stream(3, 'y').uniform(n), (u, i) => Number(u < 1 / (1 + Math.exp(-2 * x[i]!))));

  it('arrive on data that can be fitted, separable ones too', () => {
    expect(convergedLogistic({ x, y, d: 1 })[0]).toBeGreaterThan(1);
    const separable = x.map((v) => Number(v > 0));
    expect(convergedLogistic({ x, y: separable, d: 1 })[0]).toBeGreaterThan(5);
  });

  it('fail, saying what to change, where they do not', () => {
    const extreme = x.map((v) => v * 1e200);
    expect(() => convergedLogistic({ x: extreme, y, d: 1 })).toThrow(
      expect.objectContaining({
        code: 'not_converged',
        message: expect.stringMatching(/leave out columns or rows with extreme values/),
      }),
    );
  });
});
