import { describe, expect, it } from 'vitest';
import { compareBlockSparse } from '../../../gpu-worker/verify/block-sparse.ts';
import { golden, hasGolden } from '../../support/guide.ts';

describe.skipIf(!hasGolden)('masked sums of Kronecker products', () => {
  it('agree with the reference values', async () => {
    const report = (await compareBlockSparse(golden('block-sparse'), 'cpu')).toJSON();
    expect(Object.entries(report.items).filter(([, { ok }]) => !ok)).toEqual([]);
    expect(Object.entries(report.exact).filter(([, equal]) => !equal)).toEqual([]);
    expect(Object.keys(report.items).length).toBeGreaterThan(60);
    expect(report.ok).toBe(true);
  });
});
