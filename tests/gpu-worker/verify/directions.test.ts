import { describe, expect, it } from 'vitest';
import { compareDirections } from '../../../gpu-worker/verify/directions.ts';
import { golden, hasGolden } from '../../support/guide.ts';

describe.skipIf(!hasGolden)('verify -- directions', () => {
  it('finds the reference values', async () => {
    expect((await compareDirections(golden('directions'), 'cpu')).toJSON()).toMatchObject({ ok: true });
  }, 60_000);
});
