import { describe, expect, it } from 'vitest';
import { Encoder } from '../../../../gpu-worker/sae/codes/encoder.ts';
import { measure } from '../../../../gpu-worker/sae/measures/evaluate.ts';
import { type SaeConfigurationOptions, saeConfiguration } from '../../../../gpu-worker/sae/training/configuration.ts';
import { DenseTrainer } from '../../../../gpu-worker/sae/training/dense-trainer.ts';
import { FastTrainer } from '../../../../gpu-worker/sae/training/fast-trainer.ts';
import { initialise } from '../../../../gpu-worker/sae/training/initialise.ts';
import type { StepReport } from '../../../../gpu-worker/sae/training/trainer.ts';
import { stream } from '../../../../shared/math/random.ts';
import { plantedDictionary } from '../../../support/planted-dictionary.ts';

const ROWS = 64;
const threads = { threads: 1 };
const batch = (inputs: number, step: number) => stream(8, `batch ${step}`).normal32(ROWS * inputs, { mean: 0.2 });
const planted = plantedDictionary({
  axes: 12,
  width: 12,
  active: 2,
  signed: true,
  samples: 40 * ROWS,
  seed: 6,
  orthonormal: true,
});

async function train(
  options: SaeConfigurationOptions,
  chunk = 20,
): Promise<{ reports: StepReport[]; trainer: DenseTrainer }> {
  const complete = saeConfiguration(options);
  const trainer = await DenseTrainer.create(complete, ROWS, initialise(complete, 3), threads);
  const reports: StepReport[] = [];
  const size = chunk * ROWS * complete.inputs;
  for (let at = 0; at < planted.x.length; at += size) {
    reports.push(...(await trainer.run(planted.x.subarray(at, at + size), new Array<number>(chunk).fill(0.01))));
  }
  return { reports, trainer };
}

describe('the dense program', () => {
  it.each(['topk', 'abstopk'] as const)('takes the same steps as the fast path: %s', async (variant) => {
    const complete = saeConfiguration({
      variant,
      inputs: 10,
      width: 90,
      k: 3,
      deadTokens: ROWS,
      auxiliaryLatents: 5,
      clipNorm: 2,
    });
    const start = initialise(complete, 1);
    const dense = await DenseTrainer.create(complete, ROWS, start, threads);
    const fast = new FastTrainer(complete, ROWS, start, threads);
    const dead: number[] = [];
    for (let step = 0; step < 6; step++) {
      const x = batch(10, step);
      const [one, other] = [(await dense.run(x, [0.01]))[0]!, await fast.step(x, 0.01)];
      expect(Math.abs(one.loss / other.loss - 1)).toBeLessThan(1e-5);
      expect(Math.abs(one.total / other.total - 1)).toBeLessThan(1e-5);
      expect([one.l0, one.dead]).toEqual([other.l0, other.dead]);
      dead.push(one.dead);
    }
    expect(Math.max(...dead)).toBeGreaterThan(0);
    const [a, b] = [await dense.parameters(), await fast.parameters()];
    for (let i = 0; i < a.decoder.length; i++) {
      expect(Math.abs(a.decoder[i]! - b.decoder[i]!)).toBeLessThan(2e-4);
    }
    await Promise.all([dense.close(), fast.close()]);
  });

  const base = { inputs: 12, width: 12, k: 2, clipNorm: null };
  it.each<[string, SaeConfigurationOptions]>([
    ['ReLU', { ...base, variant: 'relu', sparsity: 0.05 }],
    ['JumpReLU', { ...base, variant: 'jumprelu', sparsity: 0.01, threshold: 0.1, bandwidth: 0.2 }],
    ['two-sided JumpReLU', { ...base, variant: 'two_sided_jumprelu', sparsity: 0.01, threshold: 0.1, bandwidth: 0.2 }],
    ['a plain threshold', { ...base, variant: 'jumprelu', sparsity: 0.01, threshold: 0.1, logThreshold: false }],
    ['BatchTopK', { ...base, variant: 'batch_topk' }],
    ['batch AbsTopK', { ...base, variant: 'batch_abstopk' }],
    ['Matryoshka AbsTopK', { ...base, variant: 'abstopk', matryoshkaPrefixes: [4, 8] }],
    ['Matryoshka ReLU', { ...base, variant: 'relu', sparsity: 0.05, matryoshkaPrefixes: [6] }],
    ['AbsTopK by three iterations', { ...base, variant: 'abstopk', iterations: 3, iterationStep: 0.5 }],
  ])('%s learns', async (_, options) => {
    const { reports, trainer } = await train(options);
    const parameters = await trainer.parameters();
    await trainer.close();
    const early = reports.slice(0, 5).reduce((sum, { total }) => sum + total, 0);
    const late = reports.slice(-5).reduce((sum, { total }) => sum + total, 0);
    expect(late).toBeLessThan(0.9 * early);
    for (let i = 0; i < 12; i++) {
      expect(Math.hypot(...parameters.decoder.subarray(i * 12, (i + 1) * 12))).toBeCloseTo(1, 5);
    }
  });

  it('keeps k codes per token on average in the batch variants, and their running threshold', async () => {
    const { reports, trainer } = await train({ ...base, variant: 'batch_abstopk' });
    for (const { l0 } of reports) {
      expect(l0).toBeCloseTo(2, 6);
    }
    const { threshold } = await trainer.parameters();
    expect(new Set(threshold).size).toBe(1);
    expect(threshold![0]).toBeGreaterThan(0);
    await trainer.close();
  });

  it('is evaluated by as many encoder steps as it was trained with', async () => {
    const options: SaeConfigurationOptions = { ...base, variant: 'abstopk', iterations: 3, iterationStep: 0.5 };
    const { reports, trainer } = await train(options);
    const parameters = await trainer.parameters();
    const x = planted.x.slice(0, ROWS * 12);
    const before = (await trainer.run(x, [0]))[0]!.loss;
    await trainer.close();
    const sae = {
      variant: 'abstopk' as const,
      k: 2,
      subtractBias: true,
      parameters,
      iterations: 3,
      iterationStep: 0.5,
    };
    const { measures } = await measure(sae, x, new Encoder({ threads: 1 }));
    expect(12 * measures.mse).toBeCloseTo(before, 4);
    expect(reports.at(-1)!.l0).toBe(2);
  });

  it('learns thresholds above zero through their logarithm', async () => {
    const { trainer } = await train({ ...base, variant: 'jumprelu', sparsity: 0.1, threshold: 0.1, bandwidth: 0.4 });
    const { threshold } = await trainer.parameters();
    expect(threshold!.every((value) => value > 0 && value !== Math.fround(0.1))).toBe(true);
    await trainer.close();
  });

  it.each(['jumprelu', 'batch_topk'] as const)(
    'continues from a state as if it had never stopped: %s',
    async (variant) => {
      const complete = saeConfiguration({
        ...base,
        variant,
        width: 40,
        deadTokens: 2 * ROWS,
        bandwidth: 0.2,
        threshold: 0.1,
      });
      const whole = await DenseTrainer.create(complete, ROWS, initialise(complete, 2), threads);
      const rates = [0.01, 0.01, 0.01];
      const part = (i: number) => planted.x.subarray(i * 3 * ROWS * 12, (i + 1) * 3 * ROWS * 12);
      await whole.run(part(0), rates);
      const rest = await DenseTrainer.create(complete, ROWS, structuredClone(await whole.state()), threads);
      expect(await rest.run(part(1), rates)).toEqual(await whole.run(part(1), rates));
      expect((await rest.parameters()).decoder).toEqual((await whole.parameters()).decoder);
      expect((await rest.parameters()).threshold).toEqual((await whole.parameters()).threshold);
      await Promise.all([whole.close(), rest.close()]);
    },
  );
});
