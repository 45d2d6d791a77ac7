/**
 * What the auxiliary loss is for: latents that would never fire again come back where there is something left for them to
 * explain, signed ones too; those that nothing is left for stay dead, with it or without.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { Encoder } from '../../../../gpu-worker/sae/codes/encoder.ts';
import { rateAt, saeConfiguration } from '../../../../gpu-worker/sae/training/configuration.ts';
import { initialise } from '../../../../gpu-worker/sae/training/initialise.ts';
import { makeTrainer } from '../../../../gpu-worker/sae/training/make-trainer.ts';
import { plantedDictionary } from '../../../support/planted-dictionary.ts';

const [AXES, inputs, ROWS, BATCHES, STEPS] = [32, 24, 128, 64, 400];
const encoder = new Encoder({ threads: 1 });
afterAll(() => encoder.release());

/** Trains where the last `lame` latents begin with a thousandth of what they need to be among the largest. */
async function train(variant: 'abstopk' | 'topk', width: number, lame: number, auxiliaryWeight: number) {
  const signed = variant === 'abstopk';
  const samples = ROWS * BATCHES;
  const planted = plantedDictionary({
    axes: AXES,
    width: inputs,
    active: 3,
    signed,
    samples,
    seed: 1,
    orthonormal: false,
  });
  const scale = Math.sqrt(samples / planted.x.reduce((sum, value) => sum + value * value, 0));
  const x = planted.x.map((value) => value * scale);
  const complete = saeConfiguration({ variant, inputs, width, k: 3, auxiliaryWeight, deadTokens: 10 * ROWS });
  const start = initialise(complete, 0);
  for (let i = (width - lame) * inputs; i < width * inputs; i++) {
    start.encoder[i]! *= 1e-3;
  }
  const trainer = await makeTrainer(complete, ROWS, start, { threads: 1, encoder });
  const schedule = { rate: 4e-3, steps: STEPS, warmupSteps: 50, decayFraction: 0.2 };
  let last = { dead: Number.NaN, loss: Number.NaN };
  for (let step = 0; step < STEPS; step++) {
    const from = (step % BATCHES) * ROWS * inputs;
    const [report] = await trainer.run(x.subarray(from, from + ROWS * inputs), [rateAt(step, schedule)]);
    last = report ?? last;
  }
  await trainer.close();
  return last;
}

describe('the auxiliary loss', () => {
  it.each(['abstopk', 'topk'] as const)('brings back latents of %s that the data need', async (variant) => {
    const [without, shipped] = [await train(variant, AXES, 16, 0), await train(variant, AXES, 16, 1 / 32)];
    expect(without.dead).toBe(16);
    expect(shipped.dead).toBeLessThan(5);
    expect(shipped.loss).toBeLessThan(0.8 * without.loss);
  });

  it('leaves those dead that nothing is left for: four latents for every axis', async () => {
    const shipped = await train('abstopk', 4 * AXES, 2 * AXES, 1 / 32);
    expect(shipped.dead).toBeGreaterThan(AXES);
    expect(shipped.loss).toBeLessThan((await train('abstopk', AXES, 16, 1 / 32)).loss);
  });
});
