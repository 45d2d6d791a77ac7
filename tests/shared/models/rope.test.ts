import { describe, expect, it } from 'vitest';
import { ConfigReader } from '../../../shared/models/config-reader.ts';
import { readRope, ropeConfig, ropeFrequencies, ropeMagnitude, ropeRegime } from '../../../shared/models/rope.ts';

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
      if (wave < 8192 / 4) {
        expect(stretch).toBe(1);
      } else if (wave > 8192) {
        expect(stretch).toBeCloseTo(8, 12);
      } else {
        expect(stretch > 1 && stretch < 8).toBe(true);
      }
      if (i > 0) {
        expect(scaled[i]!).toBeLessThan(scaled[i - 1]!);
      }
    }
  });

  it('scaled linearly divide every position', () => {
    const scaled = ropeFrequencies({ ...plain, scaling: { kind: 'linear', factor: 4 } });
    expect([...scaled]).toEqual([...ropeFrequencies(plain)].map((f) => f / 4));
  });
});

/** Of transformers 5.18, heads of 8 and 64 positions: settings, length of the text, frequencies, factor of sines and cosines. */
const PUBLISHED: [string, Record<string, unknown>, number, number[], number][] = [
  ['linear', { rope_type: 'linear', factor: 2.5, rope_theta: 10000.0 }, 8, [0.4, 0.04, 0.004, 0.0004], 1.0],
  ['dynamic', { rope_type: 'dynamic', factor: 2.0, rope_theta: 10000.0 }, 10, [1.0, 0.1, 0.01, 0.001], 1.0],
  ['dynamic', { rope_type: 'dynamic', factor: 2.0, rope_theta: 10000.0 }, 64, [1.0, 0.1, 0.01, 0.001], 1.0],
  [
    'dynamic',
    { rope_type: 'dynamic', factor: 2.0, rope_theta: 10000.0 },
    65,
    [1.0, 0.09897953, 0.009796945, 0.000969697],
    1.0,
  ],
  [
    'dynamic',
    { rope_type: 'dynamic', factor: 2.0, rope_theta: 10000.0 },
    200,
    [1.0, 0.05753696, 0.003310502, 0.0001904762],
    1.0,
  ],
  [
    'yarn',
    { rope_type: 'yarn', factor: 4.0, rope_theta: 10000.0, original_max_position_embeddings: 16 },
    8,
    [1.0, 0.025, 0.0025, 0.00025],
    1.13862944,
  ],
  [
    'yarn, every setting',
    {
      rope_type: 'yarn',
      factor: 4.0,
      rope_theta: 100000.0,
      beta_fast: 8.0,
      beta_slow: 2.0,
      mscale: 0.7,
      mscale_all_dim: 1.2,
      truncate: false,
      original_max_position_embeddings: 512,
    },
    8,
    [1.0, 0.03928151, 0.0007905695, 4.445699e-5],
    0.940571525,
  ],
  [
    'yarn, attention factor',
    {
      rope_type: 'yarn',
      factor: 4.0,
      rope_theta: 10000.0,
      attention_factor: 1.3,
      original_max_position_embeddings: 16,
    },
    8,
    [1.0, 0.025, 0.0025, 0.00025],
    1.3,
  ],
  [
    'longrope',
    {
      rope_type: 'longrope',
      rope_theta: 10000.0,
      short_factor: [1.0, 1.1, 1.2, 1.3],
      long_factor: [2.0, 3.0, 5.0, 7.0],
      original_max_position_embeddings: 16,
    },
    8,
    [1.0, 0.09090909, 0.008333333, 0.0007692308],
    1.22474487,
  ],
  [
    'longrope',
    {
      rope_type: 'longrope',
      rope_theta: 10000.0,
      short_factor: [1.0, 1.1, 1.2, 1.3],
      long_factor: [2.0, 3.0, 5.0, 7.0],
      original_max_position_embeddings: 16,
    },
    16,
    [1.0, 0.09090909, 0.008333333, 0.0007692308],
    1.22474487,
  ],
  [
    'longrope',
    {
      rope_type: 'longrope',
      rope_theta: 10000.0,
      short_factor: [1.0, 1.1, 1.2, 1.3],
      long_factor: [2.0, 3.0, 5.0, 7.0],
      original_max_position_embeddings: 16,
    },
    17,
    [0.5, 0.03333334, 0.002, 0.0001428571],
    1.22474487,
  ],
  [
    'longrope',
    {
      rope_type: 'longrope',
      rope_theta: 10000.0,
      short_factor: [1.0, 1.1, 1.2, 1.3],
      long_factor: [2.0, 3.0, 5.0, 7.0],
      original_max_position_embeddings: 16,
    },
    60,
    [0.5, 0.03333334, 0.002, 0.0001428571],
    1.22474487,
  ],
  [
    'longrope, factor',
    {
      rope_type: 'longrope',
      rope_theta: 10000.0,
      factor: 8.0,
      short_factor: [1.0, 1.1, 1.2, 1.3],
      long_factor: [2.0, 3.0, 5.0, 7.0],
      original_max_position_embeddings: 16,
    },
    8,
    [1.0, 0.09090909, 0.008333333, 0.0007692308],
    1.32287566,
  ],
  [
    'llama3',
    {
      rope_type: 'llama3',
      rope_theta: 10000.0,
      factor: 8.0,
      low_freq_factor: 1.0,
      high_freq_factor: 4.0,
      original_max_position_embeddings: 32,
    },
    8,
    [1.0, 0.0125, 0.00125, 0.000125],
    1.0,
  ],
];

describe('scaled rotary settings', () => {
  const read = (rope: Record<string, unknown>, more: Record<string, unknown> = {}) =>
    readRope(new ConfigReader({ max_position_embeddings: 64, ...more, rope_scaling: rope }), 8);

  it.each(PUBLISHED)(
    '%s %j in a text of %i tokens turn as published',
    (_, settings, length, frequencies, magnitude) => {
      const rope = read(settings);
      for (const [i, f] of ropeFrequencies(rope, length).entries()) {
        expect(Math.abs(f / frequencies[i]! - 1)).toBeLessThan(2e-6);
      }
      expect(ropeMagnitude(rope)).toBeCloseTo(magnitude, 7);
      expect(read(ropeConfig(rope))).toEqual(rope);
    },
  );

  it('change with the length of the text where it passes the original context', () => {
    const [dynamic, longrope] = ['dynamic', 'longrope'].map((kind) =>
      read(PUBLISHED.find(([name]) => name === kind)![1]),
    );
    expect([10, 64, 65, 66].map((length) => ropeRegime(dynamic!, length))).toEqual([64, 64, 65, 66]);
    expect([10, 16, 17, 60].map((length) => ropeRegime(longrope!, length))).toEqual([0, 0, 1, 1]);
  });

  it("take the original context from the config's own field first, and settings from rope_scaling first", () => {
    const yarn = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 16 };
    expect(read(yarn, { original_max_position_embeddings: 32 }).scaling).toMatchObject({ originalContext: 32 });
    expect(read({ type: 'linear', factor: 2 }, { rope_parameters: yarn }).scaling).toMatchObject({ kind: 'linear' });
    expect(read({}, { rope_parameters: yarn }).scaling).toMatchObject({ kind: 'yarn' });
  });

  it('are refused where they are of a kind that is not known, or lack what they need', () => {
    expect(() => read({ rope_type: 'proportional', factor: 2 })).toThrow(/'proportional' is not supported/);
    expect(() => read({ rope_type: 'yarn', original_max_position_embeddings: 16 })).toThrow(/factor/);
    expect(() => read({ rope_type: 'longrope', short_factor: [1], long_factor: [1] })).toThrow(/must list 4 numbers/);
    expect(() => read({ rope_type: 'linear', factor: 2, beta_fast: 3 })).toThrow(/rope_scaling.beta_fast/);
  });
});
