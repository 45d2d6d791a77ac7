import { describe, expect, it } from 'vitest';
import { equalRows } from '../../../../gpu-worker/sae/codes/sparse-codes.ts';
import { AxisCorrelations } from '../../../../gpu-worker/sae/measures/axis-scores.ts';
import { MetricsAccumulator } from '../../../../gpu-worker/sae/measures/metrics.ts';
import { rateAt, saeConfiguration } from '../../../../gpu-worker/sae/training/configuration.ts';
import { activationStatistics, geometricMedian, inputScale } from '../../../../gpu-worker/sae/training/initialise.ts';
import { stream } from '../../../../shared/math/random.ts';

describe('measures', () => {
  it('meet their definitions on a worked example', () => {
    const metrics = new MetricsAccumulator(2, 3);
    // Two tokens: x = (1, 0) as (0.5, 0), x = (0, 2) as (0, 3).
    const codes = equalRows(2, 2, Int32Array.of(0, 1, 1, 2), Float32Array.of(0.5, 0, -3, 2));
    metrics.add(Float32Array.of(1, 0, 0, 2), Float32Array.of(0.5, 0, 0, 3), codes);
    const m = metrics.reconstruction();
    expect(m.mse).toBeCloseTo((0.25 + 1) / 2 / 2, 12);
    expect(m.nmse).toBeCloseTo((0.25 + 0.25) / 2, 12);
    // Mean (0.5, 1): variance = (1 + 4) / 2 - 1.25.
    expect(m.fvu).toBeCloseTo(0.625 / 1.25, 12);
    expect(m.cosine).toBeCloseTo(1, 12);
    expect([m.l0, m.l1]).toEqual([1.5, 2.75]);
    expect([...metrics.density()]).toEqual([0.5, 0.5, 0.5]);
    expect([...metrics.negative]).toEqual([0, 1, 0]);
    expect(metrics.deadShare()).toBe(0);
  });

  it('count batches as one stream', () => {
    const random = stream(1, 'measures');
    const [x, y] = [random.derive('x').normal32(60), random.derive('y').normal32(60)];
    const latents = Int32Array.from(random.derive('i').integers(40, 7));
    const values = random.derive('z').normal32(40);
    const whole = new MetricsAccumulator(3, 7);
    whole.add(x, y, equalRows(20, 2, latents, values));
    const parts = new MetricsAccumulator(3, 7);
    for (const [from, to] of [
      [0, 8],
      [8, 20],
    ] as const) {
      const codes = equalRows(to - from, 2, latents.subarray(2 * from, 2 * to), values.subarray(2 * from, 2 * to));
      parts.add(x.subarray(3 * from, 3 * to), y.subarray(3 * from, 3 * to), codes);
    }
    const [a, b] = [whole.reconstruction(), parts.reconstruction()];
    for (const key of Object.keys(a) as (keyof typeof a)[]) {
      expect(b[key]).toBeCloseTo(a[key]!, 12);
    }
    expect(parts.density()).toEqual(whole.density());
  });

  it('have no variance to explain in constant activations', () => {
    const metrics = new MetricsAccumulator(2, 1);
    metrics.add(
      Float32Array.of(1, 3, 1, 3),
      new Float32Array(4),
      equalRows(2, 1, new Int32Array(2), new Float32Array(2)),
    );
    expect(metrics.reconstruction().fvu).toBeNull();
    expect(metrics.deadShare()).toBe(1);
    expect(metrics.minorityShare(0.05)).toBe(0);
  });

  it('see minority signs', () => {
    const metrics = new MetricsAccumulator(1, 2);
    const values = Float32Array.from({ length: 40 }, (_, i) => (i % 2 === 1 ? 1 : i < 4 ? -1 : 2));
    const latents = Int32Array.from({ length: 40 }, (_, i) => i % 2);
    metrics.add(new Float32Array(20).fill(1), new Float32Array(20), equalRows(20, 2, latents, values));
    expect(metrics.minorityShare(0.05)).toBe(0.5);
    expect(metrics.minorityShare(0.2)).toBe(0);
  });
});

describe('scores against known axes', () => {
  const rows = 400;
  const states = Array.from({ length: rows }, (_, row) => [(row % 3) - 1, row % 2]);
  const axes = [
    { name: 'signed', signed: true },
    { name: 'one-sided', signed: false },
  ];
  /** Latent 0 follows the signed axis, 1 its negative pole alone, 2 the other axis. */
  const codes = equalRows(
    rows,
    3,
    Int32Array.from({ length: 3 * rows }, (_, i) => i % 3),
    Float32Array.from({ length: 3 * rows }, (_, i) => {
      const [a, b] = states[Math.floor(i / 3)]!;
      return i % 3 === 0 ? -2 * a! : i % 3 === 1 ? (a! < 0 ? 0.3 : 0) + 0.2 * b! : b!;
    }),
  );

  it('find the latent, its sign, and whether one latent holds both poles', () => {
    const correlations = new AxisCorrelations(axes, 3);
    correlations.add(codes, (row) => states[row]!);
    const [signed, oneSided] = correlations.scores();
    expect(signed).toMatchObject({ axis: 'signed', latent: 0, positive_latent: 0 });
    expect(signed!.correlation).toBeCloseTo(-1, 6);
    expect(signed!.positive_correlation).toBeLessThan(0);
    expect(signed!.both_poles).toBe(true);
    expect(oneSided).toMatchObject({ latent: 2, negative_latent: null, both_poles: false });
    expect(oneSided!.correlation).toBeCloseTo(1, 6);
  });

  it('see that an axis is split over two latents', () => {
    const split = Float32Array.from({ length: 2 * rows }, (_, i) => {
      const state = states[Math.floor(i / 2)]![0]!;
      return Math.max(i % 2 === 0 ? state : -state, 0);
    });
    const correlations = new AxisCorrelations(axes, 2);
    correlations.add(
      equalRows(
        rows,
        2,
        Int32Array.from({ length: 2 * rows }, (_, i) => i % 2),
        split,
      ),
      (row) => states[row]!,
    );
    expect(correlations.scores()[0]).toMatchObject({ positive_latent: 0, negative_latent: 1, both_poles: false });
  });

  it('only change their signs when a latent is flipped', () => {
    const [plain, flipped] = [1, -1].map((sign) => {
      const correlations = new AxisCorrelations(axes, 3);
      const values = codes.values.map((value, i) => (i % 3 === 0 ? sign * value : value));
      correlations.add({ ...codes, values }, (row) => states[row]!);
      return correlations.scores();
    });
    expect(flipped![0]!.correlation).toBeCloseTo(-plain![0]!.correlation, 12);
    expect(flipped![0]!.latent).toBe(plain![0]!.latent);
    expect(flipped![0]!.both_poles).toBe(plain![0]!.both_poles);
  });
});

describe('configurations', () => {
  it('warm up, hold and decay', () => {
    const schedule = { rate: 2, steps: 100, warmupSteps: 10, decayFraction: 0.2 };
    expect(rateAt(0, schedule)).toBeCloseTo(0.2);
    expect(rateAt(9, schedule)).toBe(2);
    expect(rateAt(79, schedule)).toBe(2);
    expect(rateAt(90, schedule)).toBeCloseTo(1);
    expect(rateAt(99, schedule)).toBeCloseTo(0.1);
  });

  it('refuse sizes that cannot work', () => {
    const base = { variant: 'topk' as const, inputs: 4, width: 8 };
    expect(() => saeConfiguration({ ...base, k: 9 })).toThrow(/k = 9/);
    expect(() => saeConfiguration({ ...base, k: 0 })).toThrow(/k = 0/);
    expect(() => saeConfiguration({ ...base, matryoshkaPrefixes: [9] })).toThrow(/Matryoshka prefixes/);
    expect(() => saeConfiguration({ ...base, variant: 'nope' as 'topk' })).toThrow(/no variant 'nope'/);
  });

  it('centre on the geometric median, which outliers hardly move', () => {
    const x = stream(2, 'median').normal32(400 * 3, { mean: 1 });
    for (let i = 0; i < 12; i++) {
      x[i] = 1000;
    }
    const median = geometricMedian(x, 3);
    const { mean, meanSquare } = activationStatistics(x, 3);
    for (let i = 0; i < 3; i++) {
      expect(Math.abs(median[i]! - 1)).toBeLessThan(0.3);
      expect(mean[i]).toBeGreaterThan(8);
    }
    expect(inputScale(activationStatistics(x, 3))).toBeCloseTo(1 / Math.sqrt(meanSquare), 12);
    expect(() => inputScale(activationStatistics(new Float32Array(6), 3))).toThrow(/all activations are zero/);
  });
});
