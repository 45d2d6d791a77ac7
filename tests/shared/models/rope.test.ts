import { describe, expect, it } from 'vitest';
import { ropeFrequencies } from '../../../shared/models/rope.ts';

const plain = { theta: 500_000, dims: 128, period: 128, scaling: null };

describe('rotary frequencies', () => {
  it('fall from 1 by equal factors to theta^-(1 - 2/d)', () => {
    const frequencies = ropeFrequencies(plain);
    expect(frequencies[0]).toBe(1);
    expect(frequencies.at(-1)).toBeCloseTo(500_000 ** (-126 / 128), 15);
  });

  it('scaled as in Llama 3.1 keep short waves, stretch long ones, and join without a jump', () => {
    const scaling = { kind: 'llama3' as const, factor: 8, lowFrequency: 1, highFrequency: 4, originalContext: 8192 };
    const [scaled, base] = [ropeFrequencies({ ...plain, scaling }), ropeFrequencies(plain)];
    const wavelengths = base.map((f) => (2 * Math.PI) / f);
    for (const [i, wave] of wavelengths.entries()) {
      const stretch = base[i]! / scaled[i]!;
      if (wave < 8192 / 4) expect(stretch).toBe(1);
      else if (wave > 8192) expect(stretch).toBeCloseTo(8, 12);
      else expect(stretch > 1 && stretch < 8).toBe(true);
      if (i > 0) expect(scaled[i]!).toBeLessThan(scaled[i - 1]!);
    }
  });

  it('scaled linearly divide every position', () => {
    const scaled = ropeFrequencies({ ...plain, scaling: { kind: 'linear', factor: 4 } });
    expect([...scaled]).toEqual([...ropeFrequencies(plain)].map((f) => f / 4));
  });
});
