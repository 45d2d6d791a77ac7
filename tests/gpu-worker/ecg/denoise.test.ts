/** What stands around the network: the slow bands, the gate that opens for them, and stretches that join without a seam. */
import { describe, expect, it } from 'vitest';
import {
  errorOf,
  fitGate,
  GATE_FEATURES,
  GATE_HIDDEN,
  type Gate,
  type GateWindow,
  openGate,
  PARTS,
} from '../../../gpu-worker/ecg/denoise/gate.ts';
import { Denoiser } from '../../../gpu-worker/ecg/denoise/network-session.ts';
import { BANDS, slowBands } from '../../../gpu-worker/ecg/denoise/slow-bands.ts';
import { cleanStretch, cleanWhole, STRETCH } from '../../../gpu-worker/ecg/denoise/stretch.ts';
import { stream } from '../../../shared/math/random.ts';
import { halfModel } from '../../support/half-model.ts';

const seed = 3;
const random = stream(seed, 'ecg/denoise');

describe(`slow bands (seed ${seed})`, () => {
  const n = 12_000;
  const x = random.derive('slow').normal(n);
  const bands = slowBands(x);

  it('add up to the signal', () => {
    const sum = x.map((_, i) => bands.reduce((total, band) => total + band[i]!, 0));
    expect(Math.max(...sum.map((value, i) => Math.abs(value - x[i]!)))).toBeLessThan(1e-10);
    expect(bands).toHaveLength(BANDS);
  });

  it('keep a constant in the slowest, also at the ends, and see no further than 6.5 s', () => {
    const constant = slowBands(new Float64Array(5000).fill(2));
    expect(Math.min(...constant[0]!)).toBeCloseTo(2, 10);
    expect(Math.max(...constant[1]!.map(Math.abs), ...constant[2]!.map(Math.abs))).toBeLessThan(1e-10);
    const changed = slowBands(x.map((value, i) => (i === 6000 ? value + 1000 : value)));
    const moved = bands.map((band, b) => band.map((value, i) => Math.abs(value - changed[b]![i]!)));
    const reach = 6.5 * 360;
    expect(Math.max(...moved.flatMap((band) => [...band.slice(0, 6000 - reach)]))).toBeLessThan(1e-9);
    expect(moved[0]![6000 - reach + 40]).toBeGreaterThan(1e-4);
  });
});

describe(`a gate (seed ${seed})`, () => {
  // A slow band of the recording's own, of size 0.3, and noise in it, of a size that the features tell.
  const windows = Array.from({ length: 600 }, (_, w): GateWindow => {
    const u = random.derive(`window/${w}`).normal(2);
    const noise = Math.exp(1.5 * u[0]!);
    const features = new Array<number>(GATE_FEATURES).fill(0);
    features[0] = 1;
    features[7] = Math.log(Math.sqrt(0.09 + noise * noise)) / 2;
    const products = new Float64Array(PARTS * PARTS);
    // Without the band its own part is lacking; with it the noise is there.
    products[0] = 0.09 + 0.01;
    products[2] = products[2 * PARTS] = -0.09;
    products[2 * PARTS + 2] = 0.09 + noise * noise;
    return { leads: [{ features, signal: 1, products }] };
  });
  const decibels = (shares: (window: GateWindow) => readonly number[]) =>
    windows.reduce(
      (sum, window) => sum - (10 * Math.log10(errorOf(window.leads[0]!.products, shares(window)))) / windows.length,
      0,
    );

  it('opens for what is worth keeping: within 0.3 dB of the best shares, above keeping and above leaving', () => {
    const gate = fitGate(windows);
    const found = decibels(({ leads }) => [1, ...openGate(gate, leads[0]!.features)]);
    const ideal = decibels(({ leads }) => [1, 0, 0.09 / leads[0]!.products[2 * PARTS + 2]!, 0, 0]);
    const [kept, left] = [
      [1, 0, 1, 0, 0],
      [1, 0, 0, 0, 0],
    ].map((shares) => decibels(() => shares));
    expect(found).toBeGreaterThan(Math.max(kept!, left!) + 1);
    expect(found).toBeGreaterThan(ideal - 0.3);
    expect(found).toBeLessThan(ideal + 1e-9);
  });

  it('that learns nothing fails, saying what to look at', () => {
    const broken = windows.map(({ leads }) => ({
      leads: leads.map((lead) => ({ ...lead, products: lead.products.map((value) => value * 1e308 * 10) })),
    }));
    expect(() => fitGate(broken)).toThrow(
      expect.objectContaining({ code: 'not_converged', message: expect.stringMatching(/values out of range/) }),
    );
  });
});

describe(`stretches (seed ${seed})`, () => {
  it('join to what the whole signal gives at once, whatever the gate', async () => {
    const { document, weights } = halfModel();
    const denoiser = await Denoiser.create(document.network, weights, { threads: 1 });
    const rows = (name: string, count: number, length: number) =>
      Array.from({ length: count }, (_, k) => [...random.derive(`${name}/${k}`).normal(length)]);
    const gate: Gate = {
      hidden: rows('hidden', GATE_HIDDEN, GATE_FEATURES),
      shares: rows('shares', PARTS - 1, GATE_HIDDEN + 1),
    };
    const n = STRETCH + 15_000;
    const leads = [1, 2].map((lead) => {
      const noise = random.derive(`lead/${lead}`).normal(n);
      return noise.map((value, i) => value * (1 + Math.sin(i / 3000)) + 2 * Math.sin(i / 400) + Math.sin(i / 1500));
    });
    const cut = await cleanWhole(denoiser, gate, leads);
    const { leads: whole } = await cleanStretch(denoiser, gate, { leads, start: 0, total: n }, [0, n]);
    await denoiser.release();
    const worst = Math.max(
      ...cut.map((lead, c) => lead.reduce((m, v, i) => Math.max(m, Math.abs(v - whole[c]![i]!)), 0)),
    );
    expect(worst).toBeLessThan(2e-5);
    // Something is kept and something is not: the comparison says something about the gate.
    expect(Math.max(...whole[0]!.map((value, i) => Math.abs(value - leads[0]![i]!)))).toBeGreaterThan(0.1);
  });
});
