import { describe, expect, it } from 'vitest';
import { compareLayouts } from '../../../gpu-worker/verify/layouts.ts';
import { data, hasData } from '../../support/guide.ts';

describe.skipIf(!hasData)('verify -- layouts', () => {
  it('finds one trained model in every layout it is stored in', async () => {
    const report = await compareLayouts(data('quantised'), 'cpu');
    expect(report.toJSON()).toMatchObject({ what: 'layouts', ok: true });
  }, 60_000);
});
