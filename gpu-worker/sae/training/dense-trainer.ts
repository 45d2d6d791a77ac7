/** Training by the dense program: every variant and option, on every execution provider. */
import { adam } from '../../nn/index.ts';
import type { ProviderRequest } from '../../runtime/index.ts';
import { type Checkpoint, nonNegative, Trainer as ProgramTrainer, unitRows } from '../../training/index.ts';
import type { SaeParameters } from '../codes/parameters.ts';
import { VARIANTS } from '../codes/variants.ts';
import type { SaeConfiguration } from './configuration.ts';
import { ACTIVATIONS, DEAD, denseProgram, THRESHOLD } from './dense-program.ts';
import { initialState, type StepReport, type Trainer, type TrainerState } from './trainer.ts';

/** Decay per step of the running threshold of batch variants (dictionary_learning). */
const CUT_DECAY = 0.99;

type DenseOptions = { threads?: number; provider?: ProviderRequest };

export class DenseTrainer implements Trainer {
  readonly configuration: SaeConfiguration;
  readonly #options: DenseOptions;
  readonly #tokensSinceFired: Float64Array;
  #trainer: ProgramTrainer;
  /** Whether the program holds the auxiliary term; it costs two more products, so it is there only when needed. */
  #auxiliary: boolean;
  #cut: number;
  readonly #batch: number;

  private constructor(
    configuration: SaeConfiguration,
    batch: number,
    options: DenseOptions,
    state: TrainerState,
    first: ProgramTrainer,
  ) {
    this.configuration = configuration;
    this.#batch = batch;
    this.#options = options;
    this.#tokensSinceFired = state.tokensSinceFired.slice();
    this.#cut = state.cut;
    this.#trainer = first;
    this.#auxiliary = this.#dead().length > 0 && configuration.auxiliaryWeight > 0;
  }

  /** @param batch rows of every step */
  static async create(
    configuration: SaeConfiguration,
    batch: number,
    start: SaeParameters | TrainerState,
    options: DenseOptions = {},
  ): Promise<DenseTrainer> {
    const state = 'tokensSinceFired' in start ? start : initialState(start);
    const dead = state.tokensSinceFired.some((tokens) => tokens >= configuration.deadTokens);
    const auxiliary = dead && configuration.auxiliaryWeight > 0;
    const first = await program(configuration, batch, auxiliary, options, checkpointOf(configuration, state));
    return new DenseTrainer(configuration, batch, options, state, first);
  }

  #dead(): number[] {
    return [...this.#tokensSinceFired.keys()].filter(
      (i) => this.#tokensSinceFired[i]! >= this.configuration.deadTokens,
    );
  }

  async run(x: Float32Array, rates: readonly number[]): Promise<StepReport[]> {
    const { width } = this.configuration;
    const dead = this.#dead();
    const auxiliary = dead.length > 0 && this.configuration.auxiliaryWeight > 0;
    if (auxiliary !== this.#auxiliary) {
      const resume = await this.#trainer.checkpoint();
      await this.#trainer.release();
      this.#trainer = await program(this.configuration, this.#batch, auxiliary, this.#options, resume);
      this.#auxiliary = auxiliary;
    }
    const mask = new Float32Array(width);
    for (const latent of dead) {
      mask[latent] = 1;
    }
    const feeds = { [ACTIVATIONS]: x, ...(auxiliary && { [DEAD]: mask }) };
    const done = this.#trainer.step;
    this.#trainer.rate = (step) => rates[step - 1 - done]!;
    const reports: StepReport[] = [];
    for await (const { metrics } of this.#trainer.run(once({ steps: rates.length, feeds }))) {
      for (let step = 0; step < rates.length; step++) {
        const fired = metrics.fired!.subarray(step * width, (step + 1) * width) as Float32Array;
        if (metrics.cut) {
          this.#follow(Number(metrics.cut[step]), done + step);
        }
        reports.push({
          loss: Number(metrics.reconstruction![step]),
          total: metrics.loss[step]!,
          l0: this.#account(fired) / this.#batch,
          dead: dead.length,
        });
      }
    }
    return reports;
  }

  #follow(cut: number, step: number): void {
    this.#cut = step === 0 ? cut : CUT_DECAY * this.#cut + (1 - CUT_DECAY) * cut;
  }

  #account(fired: Float32Array): number {
    let codes = 0;
    for (let i = 0; i < fired.length; i++) {
      codes += fired[i]!;
      this.#tokensSinceFired[i] = fired[i]! > 0 ? 0 : this.#tokensSinceFired[i]! + this.#batch;
    }
    return codes;
  }

  async parameters(): Promise<SaeParameters> {
    const tensors = await this.#trainer.parameters();
    const values = Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, data]));
    return this.#parametersFrom(values as Record<string, Float32Array>, false);
  }

  #parametersFrom(values: Readonly<Record<string, Float32Array>>, raw: boolean): SaeParameters {
    const { inputs, width, variant } = this.configuration;
    const { learnsThreshold, selection } = VARIANTS[variant];
    const logarithm = values[THRESHOLD.logarithm];
    const learned = logarithm && !raw ? logarithm.map(Math.exp) : (logarithm ?? values[THRESHOLD.plain]);
    const running = selection === 'batch' && !raw ? new Float32Array(width).fill(this.#cut) : null;
    return {
      inputs,
      width,
      encoder: values.encoder!.slice(),
      encoderBias: values.encoderBias!.slice(),
      decoder: values.decoder!.slice(),
      decoderBias: values.decoderBias!.slice(),
      threshold: learnsThreshold ? learned!.slice() : running,
    };
  }

  async state(): Promise<TrainerState> {
    const { tensors, step } = await this.#trainer.checkpoint();
    const group = (prefix: string) => {
      const names = [...NAMES, THRESHOLD.plain, THRESHOLD.logarithm].filter((name) => `${prefix}${name}` in tensors);
      const values = Object.fromEntries(names.map((name) => [name, tensors[`${prefix}${name}`]!.data as Float32Array]));
      return this.#parametersFrom(values, true);
    };
    return {
      steps: step,
      parameters: group(''),
      first: group('first:'),
      second: group('second:'),
      tokensSinceFired: this.#tokensSinceFired.slice(),
      cut: this.#cut,
    };
  }

  async close(): Promise<void> {
    await this.#trainer.release();
  }
}

const NAMES = ['encoder', 'encoderBias', 'decoder', 'decoderBias'] as const;

async function* chunkOf<T>(chunk: T): AsyncGenerator<T> {
  yield chunk;
}
const once =
  <T>(chunk: T) =>
  () =>
    chunkOf(chunk);

const optimiser = ({ beta1, beta2, epsilon }: SaeConfiguration) => adam({ beta1, beta2, epsilon });
const PROGRAM = 'sae';

function program(
  r: SaeConfiguration,
  batch: number,
  auxiliary: boolean,
  { threads, provider }: DenseOptions,
  resume: Checkpoint,
): Promise<ProgramTrainer> {
  const { total, metrics } = denseProgram(r, batch, { auxiliary });
  return ProgramTrainer.create({
    name: PROGRAM,
    loss: total,
    metrics,
    optimiser: optimiser(r),
    rate: 0,
    shared: [DEAD],
    constraints: [...(r.unitRows ? [unitRows('decoder')] : []), nonNegative(THRESHOLD.plain)],
    provider: provider ?? 'cpu',
    ...(r.clipNorm !== null && { clipNorm: r.clipNorm }),
    ...(threads !== undefined && { threads }),
    initial: Object.fromEntries(Object.entries(resume.tensors).map(([name, { data }]) => [name, data as Float32Array])),
    resume,
  });
}

/** A state in the form that the training layer resumes from. Thresholds in a state are those that the program learns. */
function checkpointOf(r: SaeConfiguration, state: TrainerState): Checkpoint {
  const { inputs, width } = r;
  const { name, settings } = optimiser(r);
  const shapes = { encoder: [width, inputs], encoderBias: [width], decoder: [width, inputs], decoderBias: [inputs] };
  const learned = VARIANTS[r.variant].learnsThreshold;
  const threshold = r.logThreshold ? THRESHOLD.logarithm : THRESHOLD.plain;
  const group = (prefix: string, p: SaeParameters) => [
    ...NAMES.map((key) => [`${prefix}${key}`, { shape: shapes[key], data: p[key] }] as const),
    ...(learned ? [[`${prefix}${threshold}`, { shape: [width], data: p.threshold! }] as const] : []),
  ];
  const fresh = state.steps === 0 && learned && r.logThreshold;
  const start = fresh
    ? { ...state.parameters, threshold: state.parameters.threshold!.map(Math.log) }
    : state.parameters;
  const tensors = [...group('', start), ...group('first:', state.first), ...group('second:', state.second)];
  return { name: PROGRAM, step: state.steps, optimiser: { name, settings }, tensors: Object.fromEntries(tensors) };
}
