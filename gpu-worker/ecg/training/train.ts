/** Trains the network behind the long filter, with fresh noise at every step and the best weights by validation. */
import * as g from '../../graph/index.ts';
import { adam, steadyRate, warmUp } from '../../nn/index.ts';
import type { Provider } from '../../runtime/index.ts';
import { type Checkpoint, fromSteps, Trainer } from '../../training/index.ts';
import { Denoiser, type Weights } from '../denoise/network-session.ts';
import type { NetworkConfiguration } from '../network/configuration.ts';
import { joinedNetwork } from '../network/joined.ts';
import { consistencyLoss, denoisingLoss } from '../network/loss.ts';
import { type Batch, drawBatch, type MixingScope } from './examples.ts';
import type { CleanRecord, NoiseRecord } from './material.ts';

export type Material = { records: readonly CleanRecord[]; noises: readonly NoiseRecord[] };
export type TrainingSettings = {
  network: NetworkConfiguration;
  steps: number;
  batch: number;
  rate: number;
  seed: number;
  levels: readonly [number, number];
  mixing: MixingScope;
  /** Every second step is one towards `consistencyLoss`, on the batch of the step before. */
  consistency?: boolean;
  /** Validations without a better one after which training ends; null: never. */
  patience: number | null;
  /** Steps between two validations. */
  every: number;
  device: Provider;
  threads: number;
};
export type Validation = { step: number; snrIn: number; snrOut: number };
/** Where a training stands: the engine's state, the best weights so far and what validation said. */
export type TrainingState = { training: Checkpoint; best: Weights | null; validations: Validation[] };
type TrainingHooks = {
  resume?: TrainingState;
  progress?(now: { step: number; loss: number; validation: Validation | null; secondsLeft: number }): void;
  checkpoint?(take: () => Promise<TrainingState>): Promise<void>;
};
type TrainedNetwork = { weights: Weights; validations: Validation[]; steps: number; cpuSeconds: number };

const WARM_UP = 50;
/** Steps that are computed in one call, at most: about a second's work. */
const CHUNK = 5;
/** Windows in the set on which weights are chosen: so many batches of them, and no more than that. */
const [VALIDATION_BATCHES, VALIDATION_WINDOWS] = [16, 512];

export async function trainDenoiser(
  train: Material,
  validation: Material,
  settings: TrainingSettings,
  hooks: TrainingHooks = {},
): Promise<TrainedNetwork> {
  const { network, steps, batch, seed, every } = settings;
  const { leads, window } = network;
  const consistency = settings.consistency ?? false;
  const trainer = await Trainer.create({
    name: 'ecg',
    loss: trainingLoss(settings),
    optimiser: adam(),
    rate: warmUp(WARM_UP, steadyRate(settings.rate, steps)),
    clipNorm: 5,
    seed,
    provider: settings.device,
    threads: settings.threads,
    spinning: false,
    ...(hooks.resume && { resume: hooks.resume.training }),
  });
  const draw = { window, leads, batch, seed, levels: settings.levels, mixing: settings.mixing, consistency };
  const held = drawBatch(
    validation.records,
    validation.noises,
    { ...draw, batch: Math.min(VALIDATION_WINDOWS, VALIDATION_BATCHES * batch), seed: 1, consistency: false },
    0,
  );
  const validations = [...(hooks.resume?.validations ?? [])];
  let best = hooks.resume?.best ?? null;
  const began = process.cpuUsage();
  const start = performance.now();
  const first = trainer.step;
  try {
    // a validation stands at the end of a call
    const chunk = Math.min(CHUNK, every);
    const source = fromSteps(steps, chunk, (step): Record<string, Float32Array> => {
      if (!consistency) {
        const { x, y, w } = drawBatch(train.records, train.noises, draw, step);
        return { x, y, w };
      }
      const { clean, ...noisy } = drawBatch(train.records, train.noises, draw, Math.floor(step / 2));
      return { ...noisy, clean: clean!.x, unit: clean!.unit, phase: Float32Array.of(step % 2) };
    });
    for await (const { metrics } of trainer.run(source)) {
      let validated: Validation | null = null;
      if (Math.floor(trainer.step / every) > Math.floor((trainer.step - chunk) / every) || trainer.step >= steps) {
        const weights = plain(await trainer.parameters());
        validated = { step: trainer.step, ...(await validate(weights, settings, held)) };
        if (validations.every(({ snrOut }) => snrOut < validated!.snrOut)) {
          best = weights;
        }
        validations.push(validated);
      }
      const each = (performance.now() - start) / 1000 / (trainer.step - first);
      hooks.progress?.({
        step: trainer.step,
        loss: metrics.loss.at(-1)!,
        validation: validated,
        secondsLeft: each * (steps - trainer.step),
      });
      await hooks.checkpoint?.(async () => ({
        training: await trainer.checkpoint(),
        best,
        validations: [...validations],
      }));
      if (validated && exhausted(validations, settings.patience)) {
        break;
      }
    }
    const used = process.cpuUsage(began);
    const weights = best ?? plain(await trainer.parameters());
    return { weights, validations, steps: trainer.step, cpuSeconds: (used.user + used.system) / 1e6 };
  } finally {
    await trainer.release();
  }
}

/** The loss (7) of one batch; with the consistency step, of the even steps, and `consistencyLoss` of the odd ones. */
function trainingLoss({ network, batch, consistency }: TrainingSettings): g.Tensor {
  const { leads, conditions, window } = network;
  const x = g.input('x', [batch, leads + conditions, window]);
  const y = g.input('y', [batch, leads, window]);
  const w = g.input('w', [batch]);
  if (!consistency) {
    return denoisingLoss(joinedNetwork(network, x), y, w);
  }
  const clean = g.input('clean', [batch, leads + conditions, window]);
  const both = joinedNetwork(network, g.concat([x, clean], 0));
  const [output, quiet] = [g.slice(both, 0, 0, batch), g.slice(both, 0, batch, 2 * batch)];
  const second = consistencyLoss(output, g.mul(quiet, g.input('unit', [batch, leads, 1])));
  const phase = g.reshape(g.input('phase', [1]), []);
  return g.add(g.mul(denoisingLoss(output, y, w), g.sub(1, phase)), g.mul(second, phase));
}

const plain = (parameters: Awaited<ReturnType<Trainer['parameters']>>): Weights =>
  Object.fromEntries(
    Object.entries(parameters).map(([name, { shape, data }]) => [name, { shape, data: data as Float32Array }]),
  );

function exhausted(validations: readonly Validation[], patience: number | null): boolean {
  if (patience === null) {
    return false;
  }
  const best = validations.reduce((top, { snrOut }, i) => (snrOut > validations[top]!.snrOut ? i : top), 0);
  return validations.length - 1 - best >= patience;
}

/** Mean window SNR of the validation windows, before and after, of the part without drift. */
async function validate(weights: Weights, settings: TrainingSettings, held: Batch): Promise<Omit<Validation, 'step'>> {
  const { network } = settings;
  const { leads, window } = network;
  const denoiser = await Denoiser.create(network, weights, settings);
  const size = leads * window;
  const channels = leads + network.conditions;
  try {
    const count = held.y.length / size;
    const out = await denoiser.run(held.x, count);
    let [before, after] = [0, 0];
    for (let b = 0; b < count; b++) {
      let [signal, noise, rest] = [0, 0, 0];
      for (let i = 0; i < size; i++) {
        const clean = held.y[b * size + i]!;
        signal += clean ** 2;
        noise += (held.x[b * channels * window + i]! - clean) ** 2;
        rest += (out[b * size + i]! - clean) ** 2;
      }
      before += 10 * Math.log10(signal / noise);
      after += 10 * Math.log10(signal / rest);
    }
    return { snrIn: before / count, snrOut: after / count };
  } finally {
    await denoiser.release();
  }
}
