/** Runs a training program over a stream of chunks and owns its state. */

import { stream } from '../../shared/math/random.ts';
import { type HostArray, nameOf, type ParameterAttributes, type Tensor } from '../graph/index.ts';
import type { Schedule } from '../nn/index.ts';
import {
  chooseProvider,
  EngineError,
  type FeedValue,
  type Provider,
  type ProviderChoice,
  type ProviderRequest,
  type SessionOptions,
} from '../runtime/index.ts';
import { requireBudget } from './budget.ts';
import { type Checkpoint, requireMatch } from './checkpoint.ts';
import type { Chunk, ChunkSource } from './data.ts';
import { divergence } from './divergence.ts';
import type { EngineOptions, StepEngine } from './engine.ts';
import { createEngine } from './engines.ts';
import { AVERAGE, scalarFeeds, type TrainingProgram, type TrainingStep, trainingStep } from './program.ts';

export type TrainerOptions = TrainingProgram & {
  /** Learning rate, or a schedule of it by step (from 1). */
  rate: number | Schedule;
  /** Starting values; parameters without one are filled by their own initialiser. */
  initial?: Readonly<Record<string, ArrayLike<number>>>;
  seed?: number;
  resume?: Checkpoint;
  provider?: ProviderRequest;
  /** Largest memory in bytes that the program may need; by default what the machine has. */
  memoryBudget?: number;
} & Pick<SessionOptions, 'threads' | 'spinning' | 'weightsFolder'>;

/** What one chunk of steps gave. Metrics hold `steps` values each (times the size of the metric, row-major). */
export type ChunkResult = {
  firstStep: number;
  steps: number;
  seconds: number;
  provider: Provider;
  metrics: Readonly<Record<string, HostArray>> & { readonly loss: Float32Array };
};

export class Trainer {
  /** Steps done. */
  step = 0;
  readonly choice: ProviderChoice;
  rate: Schedule;
  readonly #options: TrainerOptions;
  readonly #plan: TrainingStep;
  readonly #engine: StepEngine;
  readonly #fixed: Record<string, HostArray>;

  private constructor(
    options: TrainerOptions,
    plan: TrainingStep,
    engine: StepEngine,
    choice: ProviderChoice,
    fixed: Record<string, HostArray>,
  ) {
    this.#options = options;
    this.#plan = plan;
    this.#engine = engine;
    this.choice = choice;
    this.#fixed = fixed;
    const { rate } = options;
    this.rate = typeof rate === 'number' ? () => rate : rate;
  }

  /** Builds and loads the program; nothing is computed yet. */
  static async create(options: TrainerOptions): Promise<Trainer> {
    const plan = trainingStep(options);
    requireBudget(plan, options);
    const choice = await chooseProvider(options.provider ?? 'cpu');
    const state: Record<string, HostArray> = {};
    for (const leaf of plan.trained) {
      state[nameOf(leaf)] = startingValue(leaf, options);
    }
    for (const { leaf, of, role } of plan.slots) {
      const start = state[nameOf(of)]!;
      state[nameOf(leaf)] = role === AVERAGE ? start.slice() : new Float32Array(start.length);
    }
    const fixed = Object.fromEntries(plan.frozen.map((leaf) => [nameOf(leaf), startingValue(leaf, options)]));
    if (options.resume) {
      requireMatch(options.resume, describe(options, plan, state));
      for (const name of Object.keys(state)) {
        state[name] = options.resume.tensors[name]!.data.slice();
      }
    }
    const engine = await createEngine(plan.spec, state, engineOptions(options, choice.provider));
    const trainer = new Trainer(options, plan, engine, choice, fixed);
    trainer.step = options.resume?.step ?? 0;
    return trainer;
  }

  /**
   * Trains on the chunks of `source`, from the step where the trainer stands. Yields after each chunk; stopping the
   * iteration there leaves a state that can be continued or saved. Raises `loss_not_finite` where the loss is NaN or
   * infinite; the state is then the one before that chunk.
   */
  async *run(source: ChunkSource): AsyncGenerator<ChunkResult, void, void> {
    const iterator = source(this.step)[Symbol.asyncIterator]();
    let pending = iterator.next();
    try {
      for (;;) {
        const { value: chunk, done } = await pending;
        if (done) {
          return;
        }
        pending = iterator.next();
        // A failure of the next chunk is reported when its turn comes.
        pending.catch(() => undefined);
        yield await this.#compute(chunk);
      }
    } finally {
      await pending.catch(() => undefined);
      await iterator.return?.();
    }
  }

  async #compute({ steps, feeds }: Chunk): Promise<ChunkResult> {
    const began = performance.now();
    const scalars = scalarFeeds(this.#options.optimiser, this.#plan.scalars, this.rate, [this.step + 1, steps]);
    const shared: Record<string, FeedValue> = { ...this.#fixed };
    const perStep: Record<string, HostArray> = { ...scalars };
    for (const [name, value] of Object.entries(feeds)) {
      if (this.#plan.shared.some((leaf) => nameOf(leaf) === name)) {
        shared[name] = value;
      } else {
        perStep[name] = value;
      }
    }
    const result = await this.#engine.run(steps, perStep, shared);
    const loss = result.metrics.loss as Float32Array;
    const bad = loss.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) {
      this.#engine.discard(result);
      const failure = { steps, bad, perStep, shared, done: this.step, loss: loss[bad]! };
      throw await divergence(this.#plan, this.#engine, failure);
    }
    this.#engine.accept(result);
    const firstStep = this.step;
    this.step += steps;
    const seconds = (performance.now() - began) / 1000;
    return { firstStep, steps, seconds, provider: this.choice.provider, metrics: { ...result.metrics, loss } };
  }

  /** Current values of all parameters, the frozen ones included. */
  async parameters(): Promise<Record<string, { shape: readonly number[]; data: HostArray }>> {
    const state = await this.#engine.state();
    return Object.fromEntries(
      [...this.#plan.trained, ...this.#plan.frozen].map((leaf) => {
        const name = nameOf(leaf);
        return [name, { shape: leaf.shape as number[], data: state[name] ?? this.#fixed[name]! }];
      }),
    );
  }

  /** The moving averages of the trained parameters. */
  async averages(): Promise<Record<string, { shape: readonly number[]; data: HostArray }>> {
    const state = await this.#engine.state();
    const means = this.#plan.slots.filter(({ role }) => role === AVERAGE);
    return Object.fromEntries(
      means.map(({ leaf, of }) => [nameOf(of), { shape: of.shape as number[], data: state[nameOf(leaf)]! }]),
    );
  }

  /** Everything needed to continue exactly. */
  async checkpoint(): Promise<Checkpoint> {
    return { ...describe(this.#options, this.#plan, await this.#engine.state()), step: this.step };
  }

  async release(): Promise<void> {
    await this.#engine.release();
  }
}

function describe(
  { name, optimiser }: TrainerOptions,
  plan: TrainingStep,
  state: Readonly<Record<string, HostArray>>,
): Omit<Checkpoint, 'step'> {
  const leaves = [...plan.trained, ...plan.slots.map(({ leaf }) => leaf)];
  return {
    name,
    optimiser: { name: optimiser.name, settings: optimiser.settings },
    tensors: Object.fromEntries(
      leaves.map((leaf) => [nameOf(leaf), { shape: leaf.shape as number[], data: state[nameOf(leaf)]! }]),
    ),
  };
}

const engineOptions = ({ threads, spinning, weightsFolder }: TrainerOptions, provider: Provider): EngineOptions => ({
  provider,
  ...(threads !== undefined && { threads }),
  ...(spinning !== undefined && { spinning }),
  ...(weightsFolder !== undefined && { weightsFolder }),
});

/** The given value or the parameter's own initial one; each parameter draws from a stream of its own name. */
function startingValue(leaf: Tensor, { name: program, initial = {}, seed = 0 }: TrainerOptions): Float32Array {
  const { name, initial: initialiser } = leaf.node.attributes as ParameterAttributes;
  const shape = leaf.shape as number[];
  const values = initial[name] ?? initialiser?.(shape, stream(seed, `parameter ${name}`));
  if (!values) {
    throw new EngineError('feed_missing', `${program}: '${name}' has no initial value and no initialiser`);
  }
  const expected = shape.reduce((product, dim) => product * dim, 1);
  if (values.length !== expected) {
    throw new EngineError('feed_mismatch', `${program}: '${name}' is [${shape}], got ${values.length} initial values`);
  }
  return Float32Array.from(values);
}
