import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Encoder } from '../../../../gpu-worker/sae/codes/encoder.ts';
import { type SaeConfigurationOptions, saeConfiguration } from '../../../../gpu-worker/sae/training/configuration.ts';
import { FastTrainer } from '../../../../gpu-worker/sae/training/fast-trainer.ts';
import { initialise } from '../../../../gpu-worker/sae/training/initialise.ts';
import type { TrainerState } from '../../../../gpu-worker/sae/training/trainer.ts';
import { ReferenceTrainer } from '../../../../gpu-worker/verify/sae/reference-trainer.ts';
import { stream } from '../../../../shared/math/random.ts';

const ROWS = 48;
const batch = (inputs: number, step: number, seed = 3) =>
  stream(seed, `batch ${step}`).normal32(ROWS * inputs, { mean: 0.2 });

/** Largest difference divided by the largest magnitude. */
function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [most, size] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    most = Math.max(most, Math.abs(a[i]! - b[i]!));
    size = Math.max(size, Math.abs(b[i]!));
  }
  return most / size;
}

const digest = (state: TrainerState): string => {
  const hash = createHash('sha256').update(state.tokensSinceFired);
  for (const group of [state.parameters, state.first, state.second]) {
    for (const name of ['encoder', 'encoderBias', 'decoder', 'decoderBias'] as const) {
      hash.update(group[name]);
    }
  }
  return hash.digest('hex');
};

const CASES: Record<string, SaeConfigurationOptions> = {
  'AbsTopK, dead latents and clipping': {
    variant: 'abstopk',
    inputs: 10,
    width: 37,
    k: 3,
    deadTokens: ROWS,
    auxiliaryLatents: 4,
    clipNorm: 0.5,
  },
  'TopK, a bias that is not subtracted': { variant: 'topk', inputs: 12, width: 30, k: 5, subtractBias: false },
  'free decoder norms': { variant: 'abstopk', inputs: 8, width: 20, k: 2, unitRows: false, clipNorm: null },
  'TopK with more codes than positive pre-activations': {
    variant: 'topk',
    inputs: 6,
    width: 9,
    k: 8,
    deadTokens: ROWS,
    auxiliaryLatents: 2,
  },
};

describe('the fast path', () => {
  it.each(Object.entries(CASES))('takes the steps of the float64 formulas: %s', async (_, options) => {
    const complete = saeConfiguration(options);
    const start = initialise(complete, 5, stream(5, 'bias').normal(complete.inputs, { deviation: 0.1 }));
    const reference = new ReferenceTrainer(complete, start);
    const trainer = new FastTrainer(complete, ROWS, start);
    for (let step = 0; step < 6; step++) {
      const x = batch(complete.inputs, step);
      const [expected, got] = [reference.step(x, 0.01), await trainer.step(x, 0.01)];
      expect(Math.abs(got.loss / expected.loss - 1)).toBeLessThan(2e-6);
      expect(Math.abs(got.total / expected.total - 1)).toBeLessThan(2e-6);
    }
    const state = await trainer.state();
    await trainer.close();
    expect([...state.tokensSinceFired]).toEqual([...reference.tokensSinceFired]);
    for (const name of ['encoder', 'encoderBias', 'decoder', 'decoderBias'] as const) {
      expect(difference(state.parameters[name], reference.weights[name]), name).toBeLessThan(2e-4);
    }
  });

  it('gives the same bits with one kernel thread and with three', async () => {
    const complete = saeConfiguration({ variant: 'abstopk', inputs: 256, width: 600, k: 7, deadTokens: 96 });
    const start = initialise(complete, 1);
    // The encoder's product is the runtime's: its bits depend on the runtime's own threads.
    const encoder = new Encoder({ threads: 1 });
    const runs = await Promise.all(
      [1, 3].map(async (threads) => {
        const trainer = new FastTrainer(complete, ROWS, start, { threads, encoder });
        for (let step = 0; step < 5; step++) {
          await trainer.step(batch(256, step), 0.003);
        }
        const state = await trainer.state();
        await trainer.close();
        return state;
      }),
    );
    await encoder.release();
    expect(digest(runs[1]!)).toBe(digest(runs[0]!));
    expect(runs[0]!.tokensSinceFired.some((tokens) => tokens >= 96)).toBe(true);
  });

  it('continues from a state as if it had never stopped', async () => {
    const complete = saeConfiguration({ variant: 'topk', inputs: 10, width: 40, k: 3, deadTokens: 96 });
    const whole = new FastTrainer(complete, ROWS, initialise(complete, 2));
    for (let step = 0; step < 3; step++) {
      await whole.step(batch(10, step), 0.01);
    }
    const rest = new FastTrainer(complete, ROWS, structuredClone(await whole.state()));
    for (let step = 3; step < 6; step++) {
      expect(await rest.step(batch(10, step), 0.01)).toEqual(await whole.step(batch(10, step), 0.01));
    }
    expect(digest(await rest.state())).toBe(digest(await whole.state()));
    await Promise.all([whole.close(), rest.close()]);
  });

  it('keeps decoder rows at norm 1 after every step, and the gradient has no part along them (check 12)', async () => {
    const complete = saeConfiguration({
      variant: 'abstopk',
      inputs: 10,
      width: 40,
      k: 3,
      clipNorm: null,
      beta1: 0,
      beta2: 0,
    });
    const trainer = new FastTrainer(complete, ROWS, initialise(complete, 4));
    for (let step = 0; step < 5; step++) {
      await trainer.step(batch(10, step), 0.05);
      const { decoder } = await trainer.parameters();
      // With beta1 = 0 the first moment is the projected gradient at the rows before the step.
      for (let i = 0; i < 40; i++) {
        const norm = Math.hypot(...decoder.subarray(i * 10, (i + 1) * 10));
        expect(Math.abs(norm - 1)).toBeLessThan(1e-5);
      }
    }
    const before = (await trainer.parameters()).decoder;
    await trainer.step(batch(10, 9), 1e-9);
    const gradient = (await trainer.state()).first.decoder;
    for (let i = 0; i < 40; i++) {
      let along = 0;
      for (let j = 0; j < 10; j++) {
        along += gradient[i * 10 + j]! * before[i * 10 + j]!;
      }
      expect(Math.abs(along)).toBeLessThan(1e-5);
    }
    await trainer.close();
  });

  it('refuses a variant without a fixed number of codes', () => {
    const complete = saeConfiguration({ variant: 'relu', inputs: 4, width: 8 });
    expect(() => new FastTrainer(complete, 8, initialise(complete, 0))).toThrow(/per-token top-k/);
  });
});
