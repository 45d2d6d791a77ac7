/** Training several autoencoders on one stream of activations. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { Encoder } from '../codes/encoder.ts';
import { notFinite, type SaeParameters } from '../codes/parameters.ts';
import type { ActivationSource, SourcePosition } from './activation-source.ts';
import { rateAt, type SaeConfiguration, type Schedule } from './configuration.ts';
import { activationStatistics, geometricMedian, initialise, inputScale } from './initialise.ts';
import { makeTrainer } from './make-trainer.ts';
import type { SweepCheckpoint, SweepStore } from './sweep-checkpoint.ts';
import type { StepReport, Trainer } from './trainer.ts';

export type SweepMember = {
  configuration: SaeConfiguration;
  schedule: Schedule;
  seed: number;
  /** Parameters to train further; new ones where left out. */
  start?: SaeParameters;
};

export type SweepOptions = {
  source: ActivationSource;
  members: readonly SweepMember[];
  steps: number;
  batch: number;
  threads: number;
  provider: 'cpu' | 'webgpu' | 'cuda';
  /** 'unit': activations are scaled so that E|x|^2 = 1; 'none': taken as they are. */
  scaling: 'unit' | 'none';
  /** Where the decoder bias begins. */
  centre: 'geometric_median' | 'mean' | 'zero';
  /** Saves the state now and then, and continues from what is found there. */
  files?: SweepStore;
  progress?: (progress: SweepProgress) => void;
};

export type SweepProgress = {
  step: number;
  /** Means over the members, of the latest step. */
  loss: number;
  fvu: number;
  l0: number;
  deadShare: number;
  tokensPerSecond: number;
  secondsLeft: number;
};

export type SweepResult = {
  /** Factor on activations that the parameters expect. */
  scale: number;
  members: { parameters: SaeParameters; last: StepReport; deadShare: number }[];
  tokens: number;
  tokensPerSecond: number;
  /** Step that this run began with: above 0 when it continued an earlier one. */
  firstStep: number;
};

/** Steps between two looks at the clock; also the dense program's steps per call. */
const CHUNK = 8;
/** Rows that the statistics and the geometric median are taken of. */
const SAMPLE_ROWS = 8192;
/** Below this share of the mean square, activations count as constant. */
const LEAST_VARIANCE = 1e-10;

type Start = Pick<SweepCheckpoint, 'scale' | 'variance' | 'centre'>;

/** @throws SextantError `data_invalid` for constant or zero activations, `not_finite` when a loss or parameter is */
export async function trainSweep(options: SweepOptions): Promise<SweepResult> {
  const { source, members, steps, batch, files } = options;
  const saved = await files?.load();
  const start: Start = saved ?? (await survey(options));
  const encoder = new Encoder({ threads: options.threads, spinning: false });
  const trainers: Trainer[] = [];
  try {
    for (const [i, { configuration, seed, start: given }] of members.entries()) {
      const from = saved ? saved.states[i]! : (given ?? initialise(configuration, seed, start.centre));
      trainers.push(await makeTrainer(configuration, batch, from, { ...options, encoder }));
    }
    const run = new SweepRun(options, trainers, start, saved?.step ?? 0);
    let position: SourcePosition = saved?.position ?? { block: 0, batch: 0 };
    let pending: Float32Array[] = [];
    if (run.step < steps) {
      for await (const { x, next } of source.batches(position)) {
        pending.push(x);
        if (pending.length < CHUNK && run.step + pending.length < steps) {
          continue;
        }
        await run.advance(pending);
        position = next;
        pending = [];
        if (run.step >= steps) {
          break;
        }
        if (files?.due()) {
          const states = await Promise.all(trainers.map((trainer) => trainer.state()));
          await files.save({ ...start, step: run.step, position, states });
        }
      }
    }
    return await run.result();
  } finally {
    await Promise.all(trainers.map((trainer) => trainer.close()));
    await encoder.release();
  }
}

/** Scale and centre from the first block. */
async function survey({ source, scaling, centre }: SweepOptions): Promise<Start> {
  const sample = (await source.sample()).slice(0, SAMPLE_ROWS * source.width);
  const statistics = activationStatistics(sample, source.width);
  const scale = scaling === 'unit' ? inputScale(statistics) : 1;
  if (!(statistics.variance > LEAST_VARIANCE * statistics.meanSquare)) {
    throw new SextantError('data_invalid', 'the activations do not vary: every token has the same');
  }
  const middle =
    centre === 'zero'
      ? new Float64Array(source.width)
      : centre === 'mean'
        ? statistics.mean
        : geometricMedian(sample, source.width);
  return { scale, variance: statistics.variance * scale * scale, centre: middle.map((value) => value * scale) };
}

/** The trainers of a sweep as they move on together. */
class SweepRun {
  step: number;
  readonly #firstStep: number;
  readonly #options: SweepOptions;
  readonly #trainers: readonly Trainer[];
  readonly #start: Start;
  readonly #began = performance.now();
  #last: StepReport[] = [];

  constructor(options: SweepOptions, trainers: readonly Trainer[], start: Start, step: number) {
    this.#options = options;
    this.#trainers = trainers;
    this.#start = start;
    this.step = step;
    this.#firstStep = step;
  }

  async advance(batches: readonly Float32Array[]): Promise<void> {
    const size = batches[0]!.length;
    const x = new Float32Array(size * batches.length);
    for (const [i, batch] of batches.entries()) {
      for (let j = 0; j < size; j++) {
        x[i * size + j] = batch[j]! * this.#start.scale;
      }
    }
    this.#last = [];
    for (const [i, trainer] of this.#trainers.entries()) {
      const rates = batches.map((_, j) => rateAt(this.step + j, this.#options.members[i]!.schedule));
      const reports = await trainer.run(x, rates);
      const bad = reports.find(({ total }) => !Number.isFinite(total));
      if (bad) {
        throw this.#diverged(i, `the loss became ${bad.total}`);
      }
      this.#last.push(reports.at(-1)!);
    }
    this.step += batches.length;
    this.#report();
  }

  #diverged(member: number, what: string): SextantError {
    const { variant, width } = this.#options.members[member]!.configuration;
    return new SextantError('not_finite', `${variant} of width ${width}, near step ${this.step}: ${what}`);
  }

  #report(): void {
    const mean = (value: (report: StepReport, i: number) => number) =>
      this.#last.reduce((sum, report, i) => sum + value(report, i), 0) / this.#last.length;
    const loss = mean(({ loss }) => loss);
    this.#options.progress?.({
      step: this.step,
      loss,
      fvu: loss / this.#start.variance,
      l0: mean(({ l0 }) => l0),
      deadShare: mean(({ dead }, i) => dead / this.#trainers[i]!.configuration.width),
      tokensPerSecond: this.#speed(),
      secondsLeft: ((this.#options.steps - this.step) * this.#options.batch) / Math.max(this.#speed(), 1e-9),
    });
  }

  #speed(): number {
    const seconds = (performance.now() - this.#began) / 1000;
    return ((this.step - this.#firstStep) * this.#options.batch) / Math.max(seconds, 1e-9);
  }

  async result(): Promise<SweepResult> {
    const members = [];
    for (const [i, trainer] of this.#trainers.entries()) {
      const parameters = await trainer.parameters();
      const bad = notFinite(parameters);
      if (bad) {
        throw this.#diverged(i, `${bad} is not finite`);
      }
      const { tokensSinceFired } = await trainer.state();
      const dead = tokensSinceFired.filter((tokens) => tokens >= trainer.configuration.deadTokens).length;
      members.push({ parameters, last: this.#last[i]!, deadShare: dead / trainer.configuration.width });
    }
    return {
      scale: this.#start.scale,
      members,
      tokens: this.step * this.#options.batch,
      tokensPerSecond: this.#speed(),
      firstStep: this.#firstStep,
    };
  }
}
