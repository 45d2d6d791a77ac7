/** What the switches of a training change in what the network does at the end. */
import { describe, expect, it } from 'vitest';
import { conditionsOf } from '../../../../gpu-worker/ecg/denoise/context.ts';
import { Denoiser } from '../../../../gpu-worker/ecg/denoise/network-session.ts';
import { standardNetwork } from '../../../../gpu-worker/ecg/network/configuration.ts';
import { drawBatch } from '../../../../gpu-worker/ecg/training/examples.ts';
import { cleanRecord, noiseRecord } from '../../../../gpu-worker/ecg/training/material.ts';
import { NOISE_KINDS, syntheticNoise, syntheticPatient } from '../../../../gpu-worker/ecg/training/synthetic.ts';
import { trainDenoiser } from '../../../../gpu-worker/ecg/training/train.ts';

const material = (patients: number[]) => ({
  records: patients.map((p) => cleanRecord(`${p}`, syntheticPatient(5, p, 20))),
  noises: NOISE_KINDS.map((kind) => noiseRecord(kind, syntheticNoise(kind, 5, 20))),
});

describe('the consistency step', () => {
  it('brings outputs for noisy windows nearer to those for clean ones, and leaves them nearer to the truth than the input', async () => {
    const network = standardNetwork({ conditions: conditionsOf(2), window: 64, width: 4 });
    const [train, held] = [material([0, 1]), material([2])];
    const common = { network, batch: 8, rate: 6e-3, seed: 4, levels: [0, 0] as const, mixing: 'window' as const };
    const rest = { patience: null, every: 1000, device: 'cpu' as const, threads: 1 };
    const draw = { ...common, window: network.window, leads: network.leads, batch: 32, seed: 9, consistency: true };
    const { x, y, clean } = drawBatch(held.records, held.noises, draw, 0);
    const lead = network.window;
    const apart = async (consistency: boolean): Promise<{ outputs: number; truth: number }> => {
      // As many batches in both; every second step of the one is a consistency step.
      const settings = { ...common, ...rest, steps: consistency ? 100 : 50, consistency };
      const { weights } = await trainDenoiser(train, held, settings);
      const denoiser = await Denoiser.create(network, weights, { threads: 1 });
      const [noisy, quiet] = [await denoiser.run(x, 32), await denoiser.run(clean!.x, 32)];
      await denoiser.release();
      const sums = { outputs: 0, truth: 0 };
      for (const [i, value] of noisy.entries()) {
        sums.outputs += (value - quiet[i]! * clean!.unit[Math.floor(i / lead)]!) ** 2 / noisy.length;
        sums.truth += (value - y[i]!) ** 2 / noisy.length;
      }
      return sums;
    };
    const [without, having] = [await apart(false), await apart(true)];
    console.log('mean squares apart, seed 4:', { without, having });
    expect(having.outputs).toBeLessThan(0.85 * without.outputs);
    let input = 0;
    for (let b = 0; b < 32; b++) {
      for (let i = 0; i < 2 * lead; i++) {
        input += (x[b * 12 * lead + i]! - y[b * 2 * lead + i]!) ** 2 / y.length;
      }
    }
    expect(having.truth).toBeLessThan(input);
  }, 120_000);
});
