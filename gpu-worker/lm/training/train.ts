/** Training a language model from scratch, or further from a folder, by next-token cross-entropy. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { Architecture } from '../../../shared/models/architecture.ts';
import { familyOf, parseArchitecture } from '../../../shared/models/describe.ts';
import { adamW, cosineRate, warmUp } from '../../nn/index.ts';
import type { ProviderRequest } from '../../runtime/index.ts';
import { type Checkpoint, type Chunk, Trainer } from '../../training/index.ts';
import { requireContext, requireId } from '../inference/batch.ts';
import { named } from '../named.ts';
import { readFolder, readWeight } from '../weights/folder.ts';
import { matchesAny } from '../weights/name-patterns.ts';
import { type SaveOptions, saveFolder } from '../weights/save.ts';
import { lossGraph } from './training-graph.ts';

/** A sequence of context + 1 tokens; `weights[i]` says how much predicting `ids[i]` counts (all 1 by default). */
export type TrainingSequence = { ids: ArrayLike<number>; weights?: ArrayLike<number> };

export type TrainProgress = {
  step: number;
  steps: number;
  /** Mean loss of the last chunk of steps, nats per token. */
  loss: number;
  tokens: number;
  tokensPerSecond: number;
  secondsLeft: number;
};

export type TrainOptions = {
  /** The `config.json` of a new model, or the folder of one to train further. */
  from: { config: Record<string, unknown> } | { folder: string };
  sequences: AsyncIterable<TrainingSequence> | Iterable<TrainingSequence>;
  /** Positions per sequence that predict a token; sequences hold one token more. */
  context: number;
  batch: number;
  steps: number;
  learningRate?: number;
  /** Steps of linear warm-up; by default a twentieth of all. */
  warmUp?: number;
  /** Share of the learning rate at the end of the cosine. */
  finalRate?: number;
  weightDecay?: number;
  clipNorm?: number;
  /** Weights whose names match any of these keep their values. */
  freeze?: readonly (string | RegExp)[];
  /** Whether sequences carry weights. */
  weighted?: boolean;
  seed?: number;
  device?: ProviderRequest;
  threads?: number;
  progress?: (progress: TrainProgress) => void;
  /** Goes on from this state; `sequences` begin as ever, and those of the steps done are passed over. */
  resume?: Checkpoint;
  /** Steps after which `take` gets the weights as they stand there. */
  keep?: { steps: readonly number[]; take(step: number, save: TrainedModel['save']): void };
  /** Asked between steps; `take` copies the state. */
  checkpoint?: (take: () => Promise<Checkpoint>) => Promise<void>;
};

export type TrainedModel = {
  architecture: Architecture;
  /** The device that computed. */
  device: string;
  /** Numbers in the weights that were not frozen. */
  trainedParameters: number;
  /** The step that this run began with: above 0 where it went on from a state. */
  firstStep: number;
  /** Loss of every step from there on. */
  losses: number[];
  /** Of all steps. */
  tokens: number;
  /** Of this run, as `losses`. */
  seconds: number;
  /** Final values of a weight. */
  values(name: string): Float32Array;
  /** Writes the model as a Hugging Face folder. */
  save(path: string, options?: SaveOptions): void;
};

/**
 * Trains for `steps` steps or until the sequences end. The same options and seed give the same model on one machine.
 * @throws SextantError `model_unsupported`, `data_invalid`, `context_exceeded`; EngineError `loss_not_finite`,
 *   `memory_budget_exceeded`, `checkpoint_mismatch`
 */
export async function trainLanguageModel(options: TrainOptions): Promise<TrainedModel> {
  const { from, context, batch, steps, learningRate = 3e-3, weighted = false, seed = 0 } = options;
  const folder = 'folder' in from ? readFolder(from.folder) : null;
  const a = folder?.architecture ?? parseArchitecture((from as { config: unknown }).config);
  requireContext(a, context);
  const weights = folder?.weights ?? familyOf(a.family).weights(a);
  const { loss, parameters } = lossGraph(a, weights, { batch, seq: context, weighted });
  const frozen = options.freeze ?? [];
  requireSome(frozen, [...parameters.keys()]);
  const trainer = await Trainer.create({
    name: 'language_model',
    loss,
    optimiser: adamW({ beta2: 0.98, weightDecay: options.weightDecay ?? 0.01 }),
    // Vectors (norms and biases) are not decayed.
    groups: [
      { match: (name) => matchesAny(frozen, name), frozen: true },
      { match: (name) => named(parameters, name).rank < 2, weightDecay: 0 },
    ],
    clipNorm: options.clipNorm ?? 1,
    rate: warmUp(
      options.warmUp ?? Math.ceil(steps / 20),
      cosineRate(learningRate, steps, learningRate * (options.finalRate ?? 0.1)),
    ),
    ...(folder && {
      initial: Object.fromEntries([...parameters.keys()].map((name) => [name, readWeight(folder, name)])),
    }),
    seed,
    provider: options.device ?? 'cpu',
    ...(options.threads !== undefined && { threads: options.threads }),
    ...(options.resume && { resume: options.resume }),
  });
  try {
    const losses: number[] = [];
    const pace = { stepsPerChunk: 1 };
    const began = performance.now();
    const firstStep = trainer.step;
    const source = (first: number) => chunks(a, options, pace, first);
    for await (const { metrics, seconds, steps: done } of trainer.run(source)) {
      losses.push(...metrics.loss);
      pace.stepsPerChunk = Math.max(1, Math.min(256, Math.round(done / Math.max(seconds, 1e-3))));
      const elapsed = (performance.now() - began) / 1000;
      options.progress?.({
        step: trainer.step,
        steps,
        loss: metrics.loss.reduce((sum, value) => sum + value, 0) / done,
        tokens: trainer.step * batch * context,
        tokensPerSecond: (losses.length * batch * context) / elapsed,
        secondsLeft: ((steps - trainer.step) * elapsed) / losses.length,
      });
      if (options.keep?.steps.includes(trainer.step)) {
        const now = await trainer.parameters();
        options.keep.take(trainer.step, (path, more) =>
          saveFolder(path, a, (name) => now[name]!.data as Float32Array, more),
        );
      }
      if (trainer.step < steps) {
        await options.checkpoint?.(() => trainer.checkpoint());
      }
    }
    const final = await trainer.parameters();
    const values = (name: string) => named(final, name).data as Float32Array;
    return {
      architecture: a,
      device: trainer.choice.provider,
      trainedParameters: [...parameters]
        .filter(([name]) => !matchesAny(frozen, name))
        .reduce((sum, [name]) => sum + values(name).length, 0),
      firstStep,
      losses,
      tokens: trainer.step * batch * context,
      seconds: (performance.now() - began) / 1000,
      values,
      save: (path, more) => saveFolder(path, a, values, more),
    };
  } finally {
    await trainer.release();
  }
}

/** @throws SextantError `data_invalid` for a pattern that fits no weight, and where nothing is left to train */
function requireSome(patterns: readonly (string | RegExp)[], names: readonly string[]): void {
  const idle = patterns.find((pattern) => !names.some((name) => matchesAny([pattern], name)));
  if (idle !== undefined) {
    throw new SextantError(
      'data_invalid',
      `the freeze pattern '${idle}' fits no weight; they are called ${names.slice(0, 3).join(', ')}, ...`,
    );
  }
  if (names.every((name) => matchesAny(patterns, name))) {
    throw new SextantError('data_invalid', 'the freeze patterns leave no weight to train');
  }
}

/** Batches of sequences from a step on, as chunks of about a second of work. */
async function* chunks(
  a: Architecture,
  { sequences, context, batch, steps, weighted = false, keep }: TrainOptions,
  pace: { stepsPerChunk: number },
  first: number,
): AsyncGenerator<Chunk> {
  const iterator = Symbol.asyncIterator in sequences ? sequences[Symbol.asyncIterator]() : sequences[Symbol.iterator]();
  for (let passed = 0; passed < first * batch; passed++) {
    if ((await iterator.next()).done) {
      break;
    }
  }
  let made = first;
  while (made < steps) {
    const rows: TrainingSequence[] = [];
    const next = keep?.steps.reduce((least, step) => (step > made ? Math.min(least, step) : least), steps) ?? steps;
    const wanted = Math.min(pace.stepsPerChunk, next - made) * batch;
    while (rows.length < wanted) {
      const { value, done } = await iterator.next();
      if (done) {
        break;
      }
      rows.push(value);
    }
    const count = Math.floor(rows.length / batch);
    if (count > 0) {
      yield { steps: count, feeds: feedsOf(a, rows.slice(0, count * batch), context, batch, weighted) };
    }
    made += count;
    if (rows.length < wanted) {
      break;
    }
  }
  await iterator.return?.();
  if (made === 0) {
    throw new SextantError('data_invalid', `fewer than ${batch} sequences: not one batch to train on`);
  }
}

function feedsOf(a: Architecture, rows: TrainingSequence[], context: number, batch: number, weighted: boolean) {
  const ids = new BigInt64Array(rows.length * context);
  const labels = new BigInt64Array(rows.length * context);
  const weights = new Float32Array(rows.length * context);
  for (const [r, row] of rows.entries()) {
    if (row.ids.length !== context + 1) {
      throw new SextantError('data_invalid', `a sequence has ${row.ids.length} tokens; ${context + 1} are needed`);
    }
    for (let i = 0; i < context; i++) {
      ids[r * context + i] = BigInt(requireId(a, row.ids[i]!));
      labels[r * context + i] = BigInt(requireId(a, row.ids[i + 1]!));
      weights[r * context + i] = row.weights?.[i + 1] ?? 1;
    }
  }
  if (!weighted) {
    return { ids, labels };
  }
  for (let start = 0; start < weights.length; start += batch * context) {
    if (!weights.subarray(start, start + batch * context).some((weight) => weight > 0)) {
      throw new SextantError('data_invalid', 'a batch has no token left after masking');
    }
  }
  return { ids, labels, weights };
}
