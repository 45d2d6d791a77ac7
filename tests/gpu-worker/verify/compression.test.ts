import { describe, expect, it } from 'vitest';
import { compareCompression } from '../../../gpu-worker/verify/compression.ts';
import { golden, hasGolden } from '../../support/guide.ts';

describe.skipIf(!hasGolden)('verify -- compression', () => {
  it('finds the reference values', async () => {
    expect((await compareCompression(golden('compression'), 'cpu')).toJSON()).toMatchObject({ ok: true });
  }, 60_000);
});
