import { describe, expect, it } from 'vitest';
import { Encoder } from '../../../../gpu-worker/sae/codes/encoder.ts';
import {
  encodeActivations,
  measure,
  reconstruct,
  type TrainedSae,
} from '../../../../gpu-worker/sae/measures/evaluate.ts';
import type { MetricsAccumulator } from '../../../../gpu-worker/sae/measures/metrics.ts';
import { saeConfiguration } from '../../../../gpu-worker/sae/training/configuration.ts';
import { stream } from '../../../../shared/math/random.ts';
import { clampLatent } from '../../../support/clamp-latent.ts';
import { fit as trainOn } from '../../../support/fit-sae.ts';
import { plantedDictionary } from '../../../support/planted-dictionary.ts';
import { type PlantedRun, plantedRun } from '../../../support/planted-sae.ts';

/** Figures of the AbsTopK acceptance checks; the study command repeats them over three seeds. */
const signed: Omit<PlantedRun, 'variant' | 'width'> = {
  axes: 24,
  inputs: 24,
  active: 2,
  signed: true,
  orthonormal: true,
  steps: 1500,
  seed: 0,
};
/** Where latents are to spare: see `SaeConfiguration.encoderScale`. */
const SURPLUS = { width: 48, encoderScale: 0.1 };

describe('planted dictionaries', () => {
  it('AbsTopK finds signed axes with one latent each, TopK cannot; clamping moves one axis alone (4, 9)', async () => {
    const abs = await plantedRun({ ...signed, variant: 'abstopk', width: 24 });
    expect(abs.measures.fvu).toBeLessThan(1e-3);
    expect(abs.recovery).toBeGreaterThan(0.99);
    expect(abs.measures.minority_share_20).toBe(1);
    expect(abs.leastR2).toBeGreaterThan(0.99);

    const top = await plantedRun({ ...signed, variant: 'topk', width: 24 });
    expect(top.measures.fvu).toBeGreaterThan(0.38);
    expect(top.measures.fvu).toBeLessThan(0.5);

    const { sae, held } = abs;
    const x = held.x.subarray(0, 200 * 24);
    const codes = await encodeActivations(sae, x, new Encoder({ threads: 1 }));
    for (const value of [2, -2]) {
      const moved = clampLatent(sae, x, codes, 5, value);
      const row = sae.parameters.decoder.subarray(5 * 24, 6 * 24);
      const axis = row.reduce((best, v, i) => (Math.abs(v) > Math.abs(row[best]!) ? i : best), 0);
      const sign = Math.sign(row[axis]!);
      for (let token = 0; token < 200; token++) {
        for (let i = 0; i < 24; i++) {
          const expected = i === axis ? sign * value : x[token * 24 + i]!;
          expect(Math.abs(moved[token * 24 + i]! - expected)).toBeLessThan(0.05);
        }
      }
    }
  }, 240_000);

  it('TopK at twice the width splits every axis into opposed latents of half its R^2 (5)', async () => {
    const run = await plantedRun({ ...signed, ...SURPLUS, variant: 'topk' });
    expect(run.measures.fvu).toBeLessThan(2e-3);
    expect(run.measures.decoder.antipodal).toBe(1);
    const [p, m1, m2] = [2 / 24, 1.5, 7 / 3];
    expect(Math.abs(run.meanR2 - m2 / (2 * m2 - p * m1 ** 2))).toBeLessThan(0.03);
  }, 240_000);

  it('one-sided axes: AbsTopK is no worse, and BD sees that no latent has two poles (6)', async () => {
    const unsigned = { ...signed, signed: false, width: 24 };
    const [abs, top] = [
      await plantedRun({ ...unsigned, variant: 'abstopk' }),
      await plantedRun({ ...unsigned, variant: 'topk' }),
    ];
    expect(abs.measures.fvu).toBeLessThan(top.measures.fvu! + 0.002);
    expect(abs.measures.fvu).toBeLessThan(0.02);
    expect(abs.measures.minority_share_20).toBeLessThan(0.1);
    // About half of the codes are negative all the same: their sign means nothing.
    expect(abs.negativeShare).toBeGreaterThan(0.25);
    expect(abs.negativeShare).toBeLessThan(0.75);
  }, 240_000);

  it('surplus width: AbsTopK leaves latents dead rather than splitting axes (7)', async () => {
    const run = await plantedRun({ ...signed, ...SURPLUS, variant: 'abstopk' });
    expect(run.measures.fvu).toBeLessThan(0.005);
    expect(run.measures.dead_share).toBeGreaterThan(0.25);
    expect(run.measures.decoder.antipodal).toBeLessThan(0.35);
  }, 240_000);

  it('overcomplete atoms: AbsTopK at P is about TopK at 2 P and a third of TopK at P (8)', async () => {
    const wide = { ...signed, orthonormal: false, axes: 48 };
    const abs = await plantedRun({ ...wide, variant: 'abstopk', width: 48 });
    const same = await plantedRun({ ...wide, variant: 'topk', width: 48 });
    const double = await plantedRun({ ...wide, variant: 'topk', width: 96 });
    expect(abs.measures.fvu).toBeLessThan(same.measures.fvu! / 3);
    expect(abs.measures.fvu).toBeLessThan(1.15 * double.measures.fvu!);
    expect(double.measures.fvu).toBeLessThan(0.6 * same.measures.fvu!);
  }, 240_000);
});

describe('batch selection (14)', () => {
  it('keeps k codes on average, unevenly; inference by the stored threshold does not depend on batch mates', async () => {
    const planted = plantedDictionary({
      axes: 24,
      width: 24,
      active: 2,
      signed: true,
      orthonormal: true,
      samples: 16_384,
      seed: 2,
    });
    const scales = stream(3, 'scales').normal(16_384);
    const x = planted.x.map((value, i) => value * Math.exp(scales[Math.floor(i / 24)]!));
    const complete = saeConfiguration({ variant: 'batch_abstopk', inputs: 24, width: 24, k: 2, clipNorm: null });
    const schedule = { rate: 4e-3, steps: 300, warmupSteps: 30, decayFraction: 0.3 };
    const parameters = await trainOn(complete, x, { schedule, batch: 512, seed: 0, threads: 1 });
    const sae: TrainedSae = { variant: 'batch_abstopk', k: 2, subtractBias: true, parameters };
    const encoder = new Encoder({ threads: 1 });
    const all = await encodeActivations(sae, x.subarray(0, 4096 * 24), encoder);
    const counts = Array.from({ length: 4096 }, (_, row) => all.starts[row + 1]! - all.starts[row]!);
    const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
    expect(mean).toBeGreaterThan(1.3);
    expect(mean).toBeLessThan(2.7);
    expect(new Set(counts).size).toBeGreaterThan(3);
    const few = await encodeActivations(sae, x.subarray(0, 64 * 24), encoder);
    expect([...few.values]).toEqual([...all.values.subarray(0, few.values.length)]);
    const perToken = await measure({ ...sae, variant: 'abstopk' }, x.subarray(0, 4096 * 24), encoder);
    expect(perToken.measures.l0).toBe(2);
  }, 240_000);
});

describe('the gauge: signs of latents mean nothing (3)', () => {
  it('leaves reconstructions, codes and every measure unchanged', async () => {
    const random = stream(21, 'gauge');
    const [inputs, width, k, rows] = [10, 30, 4, 500];
    const parameters = {
      inputs,
      width,
      encoder: random.derive('e').normal32(width * inputs),
      encoderBias: random.derive('be').normal32(width),
      decoder: random.derive('d').normal32(width * inputs),
      decoderBias: random.derive('b').normal32(inputs),
      threshold: null,
    };
    const flips = Float32Array.from(random.derive('flips').uniform(width), (u) => (u < 0.5 ? -1 : 1));
    const flip = (a: Float32Array, size: number) => a.map((value, i) => value * flips[Math.floor(i / size)]!);
    const sae: TrainedSae = { variant: 'abstopk', k, subtractBias: true, parameters };
    const flipped: TrainedSae = {
      ...sae,
      parameters: {
        ...parameters,
        encoder: flip(parameters.encoder, inputs),
        encoderBias: flip(parameters.encoderBias, 1),
        decoder: flip(parameters.decoder, inputs),
      },
    };
    const x = random.derive('x').normal32(rows * inputs);
    const encoder = new Encoder({ threads: 1 });
    const [one, two] = [await measure(sae, x, encoder), await measure(flipped, x, encoder)];
    expect(reconstruct(flipped, two.codes)).toEqual(reconstruct(sae, one.codes));
    expect(two.measures).toEqual(one.measures);
    expect(two.metrics.density()).toEqual(one.metrics.density());
    expect(two.metrics.densityHistogram()).toEqual(one.metrics.densityHistogram());
    // What the check catches: counting positive codes only would change.
    const positives = ({ metrics }: { metrics: MetricsAccumulator }) => metrics.positive.reduce((a, b) => a + b, 0);
    expect(positives(two)).not.toBe(positives(one));
    await encoder.release();
  });
});
