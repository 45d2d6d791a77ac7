import { expect, it } from 'vitest';
import { requireFinite } from '../../../gpu-worker/fairness/finite.ts';

it('fails a descent that left the numbers, naming it and what to change', () => {
  expect(() => requireFinite([1, -2e300], 'the refit')).not.toThrow();
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => requireFinite([1, value], 'the refit')).toThrow(
      expect.objectContaining({
        code: 'not_converged',
        message: `the refit diverged: parameter 1 is ${value}; leave out columns with extreme values`,
      }),
    );
  }
});
