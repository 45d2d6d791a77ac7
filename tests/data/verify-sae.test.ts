import { describe, expect, it } from 'vitest';
import { compareSaes } from '../../gpu-worker/verify/sae.ts';
import { SAE_VARIANT_NAMES } from '../../shared/models/sae-variant-facts.ts';
import { golden, hasGolden } from '../support/guide.ts';

describe.skipIf(!hasGolden)('autoencoders trained from the reference start', () => {
  it('follow the reference losses and end at the reference parameters', async () => {
    const report = await compareSaes(golden('sae'));
    for (const variant of ['relu', 'jumprelu', 'topk', 'abstopk'] as const) {
      expect(report[variant]?.loss, `${variant} loss`).toBeLessThan(2e-5);
      expect(report[variant]?.parameters, `${variant} parameters`).toBeLessThan(1e-4);
    }
  });

  it('follow by the settings that ship the formulas in float64, every variant', async () => {
    const { shipped } = await compareSaes(golden('sae'));
    expect(Object.keys(shipped)).toEqual([...SAE_VARIANT_NAMES]);
    for (const [variant, { loss, parameters }] of Object.entries(shipped)) {
      expect(loss, `${variant} loss`).toBeLessThan(2e-5);
      expect(parameters, `${variant} parameters`).toBeLessThan(1e-4);
    }
  });
});
