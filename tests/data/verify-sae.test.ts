import { describe, expect, it } from 'vitest';
import { compareSaes, KINDS } from '../../gpu-worker/verify/sae.ts';
import { golden, hasGolden } from '../support/guide.ts';

describe.skipIf(!hasGolden)('autoencoders trained from the reference start', () => {
  it('follow the reference losses and end at the reference parameters', async () => {
    const report = await compareSaes(golden('sae'));
    for (const kind of KINDS) {
      expect(report[kind].loss, `${kind} loss`).toBeLessThan(2e-5);
      expect(report[kind].parameters, `${kind} parameters`).toBeLessThan(1e-4);
    }
  });
});
