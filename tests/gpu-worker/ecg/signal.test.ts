/** Filters, wavelet, resampling and overlap: identities and known answers. */
import { describe, expect, it } from 'vitest';
import { OverlapSum, overlapWeights, windowStarts } from '../../../gpu-worker/ecg/denoise/overlap.ts';
import { windowMeasures } from '../../../gpu-worker/ecg/measures/windows.ts';
import { mix, power } from '../../../gpu-worker/ecg/mixing/mix.ts';
import { bandPass, highPass } from '../../../gpu-worker/ecg/signal/butterworth.ts';
import { Resampler, ratioOf } from '../../../gpu-worker/ecg/signal/resample.ts';
import { analyse, shrink, synthesise } from '../../../gpu-worker/ecg/signal/wavelet.ts';
import { zeroPhase } from '../../../gpu-worker/ecg/signal/zero-phase.ts';
import { stream } from '../../../shared/math/random.ts';

const seed = 7;
const noise = (name: string, n: number) => stream(seed, name).normal(n);

describe('Butterworth sections', () => {
  it('are those of scipy.signal.butter at 360 Hz', () => {
    const band = [
      [0.07820006649331972, 0.15640013298663943, 0.07820006649331972, 1, -1.071760429380358, 0.3874156417267827],
      [1, -2, 1, 1, -1.9834760948833472, 0.9836160648736082],
    ];
    bandPass(0.67, 40, 360).forEach((section, s) => {
      section.forEach((value, i) => {
        expect(value).toBeCloseTo(band[s]![i]!, 9);
      });
    });
    const high = [0.991765392283382, -1.983530784566764, 0.991765392283382, 1, -1.983462974652971, 0.9835985944805564];
    highPass(0.67, 360)[0]!.forEach((value, i) => {
      expect(value).toBeCloseTo(high[i]!, 9);
    });
  });
  it('take a constant away and keep a wave in its place', () => {
    const x = Float64Array.from({ length: 3600 }, (_, i) => 5 + Math.sin((2 * Math.PI * 10 * i) / 360));
    const y = zeroPhase(highPass(0.67, 360), x);
    for (let i = 1000; i < 2600; i++) {
      expect(y[i]!).toBeCloseTo(x[i]! - 5, 2);
    }
  });
});

describe(`wavelet (seed ${seed})`, () => {
  it('reconstructs to 1e-12, and leaves a signal without fine noise alone', () => {
    const x = noise('wavelet', 256);
    const { coarse, detail } = analyse(x);
    synthesise(coarse, detail).forEach((value, i) => {
      expect(Math.abs(value - x[i]!)).toBeLessThan(1e-12);
    });
    const line = Float64Array.from({ length: 100 }, () => 3);
    shrink(line).values.forEach((value) => {
      expect(value).toBeCloseTo(3, 9);
    });
  });
});

describe('resampling', () => {
  it('finds exact ratios', () => {
    expect(ratioOf(250, 360)).toEqual({ up: 36, down: 25 });
    expect(ratioOf(1000, 360)).toEqual({ up: 9, down: 25 });
    expect(ratioOf(128.5, 360)).toEqual({ up: 720, down: 257 });
    expect(ratioOf(360, 360)).toEqual({ up: 1, down: 1 });
  });
  it.each([50, 100, 250, 257, 500, 999.5, 2000])('from %s Hz keeps a slow wave where it is', (rate) => {
    const wave = (t: number) => Math.sin(2 * Math.PI * 3 * t + 0.4);
    const x = Float64Array.from({ length: Math.round(6 * rate) }, (_, i) => wave(i / rate));
    const there = new Resampler(rate, 360);
    const y = there.all(x);
    expect(y).toHaveLength(Math.ceil(x.length * (there.ratio.up / there.ratio.down) - 1e-9));
    for (let i = 360; i < 5 * 360; i++) {
      expect(Math.abs(y[i]! - wave(i / 360))).toBeLessThan(2e-3);
    }
    const part = there.range(x.subarray(60), 60, x.length, [700, 760]);
    expect([...part]).toEqual([...y.subarray(700, 760)]);
  });
});

describe('overlapping windows', () => {
  it.each([256, 300, 384, 1000, 1025])('reach every sample of %i with weights that add up to 1', (n) => {
    const window = 256;
    const x = noise('overlap', n);
    const sum = new OverlapSum(0, n, overlapWeights(window));
    for (const start of windowStarts(n, window)) {
      sum.add(start, (i) => x[start + i]!);
    }
    sum.values().forEach((value, i) => {
      expect(Math.abs(value - x[i]!)).toBeLessThan(1e-12);
    });
  });
});

describe(`mixing (seed ${seed})`, () => {
  it('has the wanted ratio as a whole or in every window, and the identity gains nothing', () => {
    const [clean, other] = [
      [noise('a', 1300), noise('b', 1300)],
      [noise('c', 1300), noise('d', 1300)],
    ];
    const whole = mix(clean, other, -4, 'segment');
    expect(10 * Math.log10(power(clean) / power(whole.noise))).toBeCloseTo(-4, 9);
    const each = mix(clean, other, 3, 'window');
    const { snr, rmse } = windowMeasures(clean, each.mixed);
    expect(each.mixed[0]).toHaveLength(1280);
    snr.forEach((value, w) => {
      expect(value).toBeCloseTo(3, 9);
      const level = Math.sqrt(power(clean, 256 * w, 256 * (w + 1)));
      expect(rmse[w]!).toBeCloseTo(level * 10 ** (-value / 20), 9);
    });
  });
});
