import { describe, expect, it } from 'vitest';
import { compareCircuits } from '../../../gpu-worker/verify/circuits.ts';
import { golden, hasGolden } from '../../support/guide.ts';

describe.skipIf(!hasGolden)('verify -- circuits', () => {
  it('finds the stored scores, patches and edges', async () => {
    const report = await compareCircuits(golden('circuits'), 'cpu');
    expect(report.toJSON()).toMatchObject({ what: 'circuits', ok: true });
  }, 60_000);
});
