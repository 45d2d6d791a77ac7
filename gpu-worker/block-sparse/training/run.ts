/**
 * One training of one method: chunks of steps, masks that change between them, a curve of zero tiles, an end where a layer
 * dies. A run that is resumed from a saved state ends at the same bits.
 */
import * as g from '../../graph/index.ts';
import { adam, cosineRate, type Optimiser, sgd } from '../../nn/index.ts';
import { EngineError } from '../../runtime/index.ts';
import { type Checkpoint, type ChunkSource, fromSteps, Trainer } from '../../training/index.ts';
import { normsOfTiles } from '../layer/shrinkage.ts';
import { type LinearLayer, type Method, type Values, weightName } from '../methods/method.ts';
import { tileNorms, zeroTiles } from '../tiles/tiles.ts';
import type { Score } from './evaluation.ts';
import type { MadeModel } from './model.ts';
import type { Problem, Scorer } from './problem.ts';

export type OptimiserSpec = { kind: 'sgd' | 'adam'; momentum: number };
export type CurvePoint = {
  step: number;
  loss: number;
  /** Tiles that are exactly zero in each layer. */
  zero: Record<string, number>;
  validation: Score | null;
};
/** All that a run needs to go on from, between two chunks. */
export type RunState = {
  training: Checkpoint;
  masks: Readonly<Record<string, Float32Array>>;
  curve: readonly CurvePoint[];
  seconds: number;
};

type RunOptions = {
  problem: Problem;
  method: Method;
  layers: readonly LinearLayer[];
  /** Steps with a penalty, and steps after them with the zero tiles fixed. */
  steps: number;
  debiasSteps: number;
  optimiser: OptimiserSpec;
  rate: number;
  seed: number;
  gain: number;
  threads: number;
  memoryBudget?: number;
  resume?: RunState;
  /** Called after every chunk; `take` gives the state. */
  onChunk?(point: CurvePoint, take: () => Promise<RunState>): void | Promise<void>;
};

export type RunResult = {
  method: Method;
  values: Values;
  curve: readonly CurvePoint[];
  seconds: number;
  validation: Score;
  /**
   * The step at which the last tile of a layer would have died (the values are those before it), or, with no layer, before
   * which the loss stopped being a number (the values are those of the chunk's beginning).
   */
  stopped: { step: number; layer: string | null } | null;
};

/** The learning rate after the penalised steps begins at this share of the first. */
const DEBIAS_RATE = 0.1;
/** Points of the curve, and of those how many are measured on the validation rows. */
const [POINTS, VALIDATED_EVERY] = [40, 4];
/**
 * Norm that gradients of plain descent are scaled down to. The factors multiply each other's steps: from a draw of B whose
 * columns have large sums they grow without end at a rate that other draws bear. Settled training stays below it. Adam bounds
 * its own steps, and with clipped gradients a search for the tile size leaves wrong sizes alive.
 */
const CLIP_NORM = 1;
/** Batches that one call of the program gets at most, bytes. */
const CHUNK_BYTES = 2 ** 25;

/** Learning rate of a step (from 1): half a cosine over the penalised steps, another over those that follow. */
export function runRate({ rate, steps, debiasSteps }: Pick<RunOptions, 'rate' | 'steps' | 'debiasSteps'>) {
  const [first, second] = [cosineRate(rate, steps + 1), cosineRate(DEBIAS_RATE * rate, debiasSteps + 1)];
  return (step: number): number => (step <= steps ? first(step) : second(step - steps));
}

const optimiserOf = ({ kind, momentum }: OptimiserSpec): Optimiser => (kind === 'adam' ? adam() : sgd({ momentum }));

export async function runTraining(options: RunOptions): Promise<RunResult> {
  const run = await Run.create(options);
  try {
    return await run.finish();
  } finally {
    await run.release();
  }
}

class Run {
  readonly #options: RunOptions;
  readonly #total: number;
  #method: Method;
  #trainer: Trainer;
  #scorer: Scorer;
  #masks: Record<string, Float32Array>;
  #curve: CurvePoint[];
  #seconds: number;

  private constructor(options: RunOptions, method: Method, trainer: Trainer, scorer: Scorer) {
    const { resume, layers, steps, debiasSteps } = options;
    this.#options = options;
    this.#method = method;
    this.#trainer = trainer;
    this.#scorer = scorer;
    this.#total = steps + debiasSteps;
    this.#curve = [...(resume?.curve ?? [])];
    this.#seconds = resume?.seconds ?? 0;
    const masks = layers.map((layer) => [layer.name, method.masks?.start(layer) ?? new Float32Array()] as const);
    this.#masks = { ...Object.fromEntries(method.masks ? masks : []), ...resume?.masks };
  }

  static async create(options: RunOptions): Promise<Run> {
    const { method, resume } = options;
    // A candidate that vanished before the state was saved is not in it.
    const known = resume && method.simplified?.(withAbsent(options, resume.training.tensors))?.method;
    const simple = known ?? method;
    const trainer = await createTrainer(options, simple, resume?.training);
    return new Run(options, simple, trainer, await options.problem.scorer(madeOf(options, simple), options.threads));
  }

  async finish(): Promise<RunResult> {
    const { layers } = this.#options;
    const chunk = Math.max(1, Math.ceil(this.#total / POINTS));
    while (this.#trainer.step < this.#total) {
      const before = await this.#trainer.checkpoint();
      const until = Math.min(this.#nextStop(chunk), this.#total);
      const advanced = await this.#advance(until).catch(whenDiverged);
      // Other runs of a comparison need not end with one that diverges; its state is that of the last whole chunk.
      if (!advanced) {
        return this.#result({ step: until, layer: null });
      }
      const { loss, gradients } = advanced;
      const values = await this.#trainer.parameters();
      const zero = this.#zeroTiles(values);
      const dead = layers.find(({ name, grid }) => zero[name] === grid.p * grid.q && !this.#method.masks);
      if (dead) {
        return this.#upToDeath(before, dead);
      }
      this.#updateMasks(values, gradients);
      await this.#simplify(values);
      await this.#report(loss, zero, values);
    }
    return this.#result(null);
  }

  /** The next step at which the curve has a point or masks may change. */
  #nextStop(chunk: number): number {
    const { step } = this.#trainer;
    const every = this.#method.masks?.every;
    const [point, mask] = [
      step + chunk - (step % chunk),
      every ? step + every - (step % every) : Number.POSITIVE_INFINITY,
    ];
    return Math.min(point, mask);
  }

  /** Trains up to `step`; returns the last loss and the gradient norms of the last step. */
  async #advance(step: number) {
    let loss = Number.NaN;
    let gradients: Readonly<Record<string, Float64Array>> = {};
    for await (const { metrics, seconds, steps } of this.#trainer.run(this.#source(step))) {
      loss = metrics.loss[steps - 1]!;
      this.#seconds += seconds;
      const norms = this.#options.layers.flatMap((layer) => {
        const all = metrics[gradientMetric(layer)];
        const size = layer.grid.p * layer.grid.q;
        return all ? [[layer.name, Float64Array.from(all.subarray((steps - 1) * size), Number)] as const] : [];
      });
      gradients = Object.fromEntries(norms);
    }
    return { loss, gradients };
  }

  #source(until: number): ChunkSource {
    const { problem, layers } = this.#options;
    const masks = Object.fromEntries(
      this.#method.masks ? layers.map((layer) => [this.#method.masks!.input(layer), this.#masks[layer.name]!]) : [],
    );
    const chunk = Math.max(1, Math.floor(CHUNK_BYTES / problem.stepBytes));
    const chunks = fromSteps(until, chunk, async (step) => {
      const scalars = Object.entries(this.#method.scalars(step + 1));
      return {
        ...(await problem.feeds(step)),
        ...Object.fromEntries(scalars.map(([name, value]) => [name, Float32Array.of(value)])),
      };
    });
    return async function* withMasks(from) {
      for await (const { steps, feeds } of chunks(from)) {
        yield { steps, feeds: { ...feeds, ...masks } };
      }
    };
  }

  #zeroTiles(values: Values): Record<string, number> {
    return Object.fromEntries(
      this.#options.layers.map((layer) => [
        layer.name,
        zeroTiles(this.#method.state(layer, values).weight, layer.grid),
      ]),
    );
  }

  #updateMasks(values: Values, gradients: Readonly<Record<string, Float64Array>>): void {
    const rule = this.#method.masks;
    const { step } = this.#trainer;
    if (!rule || step % rule.every !== 0 || step >= this.#options.steps) {
      return;
    }
    for (const layer of this.#options.layers) {
      const weights = tileNorms(this.#method.state(layer, values).weight, layer.grid);
      const mask = this.#masks[layer.name]!;
      this.#masks[layer.name] = rule.next({ layer, step, mask, weights, gradients: gradients[layer.name] ?? null });
    }
  }

  /** Takes what has vanished out of the program. */
  async #simplify(values: Values): Promise<void> {
    const simpler = this.#method.simplified?.(values);
    if (!simpler) {
      return;
    }
    const { tensors, ...rest } = await this.#trainer.checkpoint();
    // Optimiser states are named after their parameter, behind a colon.
    const kept = Object.entries(tensors).filter(([name]) => !simpler.gone(name.slice(name.indexOf(':') + 1)));
    await this.release();
    this.#method = simpler.method;
    this.#trainer = await createTrainer(this.#options, this.#method, { ...rest, tensors: Object.fromEntries(kept) });
    this.#scorer = await this.#options.problem.scorer(madeOf(this.#options, this.#method), this.#options.threads);
  }

  async #report(loss: number, zero: Record<string, number>, values: Values): Promise<void> {
    const { onChunk } = this.#options;
    const last = this.#trainer.step >= this.#total;
    const measured = last || this.#curve.length % VALIDATED_EVERY === VALIDATED_EVERY - 1;
    const validation = measured ? await this.#scorer.score(values) : null;
    const point = { step: this.#trainer.step, loss, zero, validation };
    this.#curve.push(point);
    const [curve, masks, seconds] = [[...this.#curve], { ...this.#masks }, this.#seconds];
    await onChunk?.(point, async () => ({ training: await this.#trainer.checkpoint(), masks, curve, seconds }));
  }

  /** Goes back to the beginning of the chunk and step by step up to the last state in which every layer lives. */
  async #upToDeath(before: Checkpoint, { name, grid }: LinearLayer): Promise<RunResult> {
    await this.#trainer.release();
    this.#trainer = await createTrainer(this.#options, this.#method, before);
    let good = before;
    for (let dead = false; !dead; ) {
      good = await this.#trainer.checkpoint();
      await this.#advance(good.step + 1);
      dead = this.#zeroTiles(await this.#trainer.parameters())[name] === grid.p * grid.q;
    }
    await this.#trainer.release();
    this.#trainer = await createTrainer(this.#options, this.#method, good);
    return this.#result({ step: good.step + 1, layer: name });
  }

  async #result(stopped: RunResult['stopped']): Promise<RunResult> {
    const values = await this.#trainer.parameters();
    const validation = await this.#scorer.score(values);
    return { method: this.#method, values, curve: this.#curve, seconds: this.#seconds, validation, stopped };
  }

  async release(): Promise<void> {
    await this.#trainer.release();
    await this.#scorer.release();
  }
}

function whenDiverged(error: unknown): undefined {
  if (error instanceof EngineError && error.code === 'loss_not_finite') {
    return undefined;
  }
  throw error;
}

const gradientMetric = ({ name }: LinearLayer): string => `gradient of ${name}`;

const madeOf = ({ layers, gain }: RunOptions, method: Method): MadeModel => ({ method, layers, gain });

async function createTrainer(options: RunOptions, method: Method, resume?: Checkpoint): Promise<Trainer> {
  const { problem, layers, optimiser, seed, threads, memoryBudget } = options;
  const loss = problem.loss(madeOf(options, method));
  const initial = problem.initial?.(madeOf(options, method));
  return Trainer.create({
    name: method.name,
    loss,
    metrics: method.masks?.gradientNorms ? gradientNorms(loss, layers) : {},
    optimiser: optimiserOf(optimiser),
    rate: runRate(options),
    groups: method.groups,
    constraints: method.constraints,
    ...(optimiser.kind === 'sgd' && { clipNorm: CLIP_NORM }),
    shared: method.masks ? layers.map((layer) => method.masks!.input(layer)) : [],
    ...(initial && { initial }),
    seed,
    threads,
    spinning: false,
    ...(memoryBudget !== undefined && { memoryBudget }),
    ...(resume && { resume }),
  });
}

/** Norms of the tiles of each layer's gradient, dead tiles included. */
function gradientNorms(loss: g.Tensor, layers: readonly LinearLayer[]): Record<string, g.Tensor> {
  const leaves = new Map(g.namedLeaves([loss]).map((leaf) => [g.nameOf(leaf), leaf]));
  return Object.fromEntries(
    layers.map((layer) => {
      const [gradient] = g.gradients(loss, [leaves.get(weightName(layer.name))!]);
      const { p, q } = layer.grid;
      return [gradientMetric(layer), g.reshape(normsOfTiles(gradient!, layer.grid), [p, q])];
    }),
  );
}

/** The saved values, and zeros for parameters of the whole method that were no longer there. */
function withAbsent(options: RunOptions, saved: Checkpoint['tensors']): Values {
  const leaves = g.namedLeaves([options.problem.loss(madeOf(options, options.method))]);
  const absent = leaves.filter((leaf) => leaf.node.operator === g.Parameter && !(g.nameOf(leaf) in saved));
  const zeros = absent.map((leaf) => [g.nameOf(leaf), { shape: leaf.shape as number[], data: Float32Array.of(0) }]);
  return { ...saved, ...Object.fromEntries(zeros) };
}
