/** The published linear experiment, rebuilt from its seeds. */
import { describe, expect, it } from 'vitest';
import { syntheticErrors } from '../../../studies/fairness/lookahead.ts';
import type { Spread } from '../../../studies/fairness/spread.ts';
import { numpyPermutation, sklearnSplit } from '../../../support/numpy-random.ts';

describe('the published linear experiment', () => {
  it('shuffles as numpy does, and splits as scikit-learn does', () => {
    expect([...numpyPermutation(42, 12)]).toEqual([10, 9, 0, 8, 5, 2, 1, 11, 4, 7, 3, 6]);
    expect([...numpyPermutation(42, 1000).subarray(0, 5)]).toEqual([521, 737, 740, 660, 411]);
    const [train, test] = sklearnSplit(
      Uint32Array.from({ length: 12 }, (_, i) => i + 100),
      4,
      42,
    );
    expect([...test]).toEqual([110, 109, 100, 108]);
    expect(train).toHaveLength(8);
  });

  it('has the known errors: to the digits given where no noise of unknown order enters', () => {
    const errors = Object.fromEntries(syntheticErrors().map(({ method, MSE }) => [method, (MSE as Spread).mean!]));
    expect(errors['linear in the features']).toBeCloseTo(0.0351, 4);
    expect(errors['lookahead, p1 = T/2']).toBeCloseTo(0.0635, 3);
    expect(errors['lookahead, p1 = T/4']).toBeCloseTo(0.0633, 3);
    // 0.5129 with a standard deviation of 0.0201 over the five splits.
    expect(Math.abs(errors['counterfactually fair']! - 0.5129)).toBeLessThan(0.0201);
  });
});
