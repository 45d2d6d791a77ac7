/** The network at the tables' size (one lead, 512 samples, nothing known of the noise), trained on noisy beats alone. */
import { Denoiser, type Weights } from '../../../../gpu-worker/ecg/denoise/network-session.ts';
import { standardNetwork } from '../../../../gpu-worker/ecg/network/configuration.ts';
import { joinedNetwork } from '../../../../gpu-worker/ecg/network/joined.ts';
import { denoisingLoss } from '../../../../gpu-worker/ecg/network/loss.ts';
import * as g from '../../../../gpu-worker/graph/index.ts';
import { adam, steadyRate, warmUp } from '../../../../gpu-worker/nn/index.ts';
import { fromSteps, Trainer } from '../../../../gpu-worker/training/index.ts';
import { stream } from '../../../../shared/math/random.ts';
import { BEAT } from './beats.ts';

type Pairs = { noisy: readonly Float64Array[]; clean: readonly Float64Array[] };
type Options = { steps: number; batch: number; seed: number; threads: number };

/** Share of the beats that validates, and validations over the training. */
const [VALIDATED, VALIDATIONS] = [0.3, 10];
const [RATE, WARM_UP] = [1e-3, 50];

/** Trains on 70 % of the beats, keeps the weights with the least error on the others. @returns a denoiser to be released */
export async function trainOnBeats({ noisy, clean }: Pairs, options: Options): Promise<Denoiser> {
  const { steps, batch, seed, threads } = options;
  const config = standardNetwork({ window: BEAT, leads: 1 });
  const order = stream(seed, 'split').permutation(clean.length);
  const held = order.slice(0, Math.floor(VALIDATED * order.length));
  const learned = order.slice(held.length);
  const loss = denoisingLoss(joinedNetwork(config, g.input('x', [batch, 1, BEAT])), g.input('y', [batch, 1, BEAT]));
  const trainer = await Trainer.create({
    name: 'beats',
    loss,
    optimiser: adam(),
    rate: warmUp(WARM_UP, steadyRate(RATE, steps)),
    clipNorm: 5,
    seed,
    threads,
    spinning: false,
  });
  let best: { weights: Weights; error: number } | null = null;
  try {
    const chunk = Math.max(1, Math.floor(steps / VALIDATIONS));
    const source = fromSteps(steps, chunk, (step): Record<string, Float32Array> => {
      const rows = stream(seed, `beats/${step}`)
        .integers(batch, learned.length)
        .map((i) => learned[i]!);
      return { x: joined(noisy, rows), y: joined(clean, rows) };
    });
    for await (const { metrics } of trainer.run(source)) {
      const weights = Object.fromEntries(
        Object.entries(await trainer.parameters()).map(([name, { shape, data }]) => [
          name,
          { shape, data: data as Float32Array },
        ]),
      );
      const denoiser = await Denoiser.create(config, weights, { threads });
      const output = await denoiser.run(joined(noisy, held), held.length);
      await denoiser.release();
      const error = mean(joined(clean, held).map((value, i) => (value - output[i]!) ** 2));
      console.error(trainer.step, metrics.loss.at(-1)!.toFixed(5), `held-out error ${error.toExponential(3)}`);
      if (best === null || error < best.error) {
        best = { weights, error };
      }
    }
  } finally {
    await trainer.release();
  }
  return Denoiser.create(config, best!.weights, { threads });
}

const mean = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The named beats one after another. */
export function joined(beats: readonly Float64Array[], rows: Iterable<number>): Float32Array {
  const chosen = [...rows];
  const out = new Float32Array(chosen.length * BEAT);
  chosen.forEach((row, k) => {
    out.set(beats[row]!, k * BEAT);
  });
  return out;
}
