/** Steering measured point by point: accuracy against tokens, and what random directions of equal norm do. */
import type { SteeringMode } from '../../../shared/contracts/vector.ts';
import { stream } from '../../../shared/math/random.ts';
import { type GenerationIntervention, type Intervention, type LanguageModel, meanDivergence } from '../../lm/index.ts';
import { bootstrapOverUnits } from '../../study/index.ts';
import { type Band, centralBand, randomUnits } from '../controls.ts';
import { norm } from '../vectors.ts';
import {
  type Answer,
  answersOf,
  type Decoding,
  type Measured,
  type Measuring,
  measureAnswers,
  type Problem,
} from './answers.ts';
import { steeringEdits } from './steering.ts';

export type Point = { hook: string; mode: SteeringMode; alpha: number };
export type PointFigures = {
  pass: number;
  length: number;
  frequency: number;
  occurrences: number;
  repetition: number;
  truncated: number;
  unparsed: number;
  /** KL(plain || steered) on the plain answers, nats per token. */
  kl: number;
};
type Interval = { value: number; low: number | null; high: number | null };

type Steering = {
  model: LanguageModel;
  problems: readonly Problem[];
  decoding: Decoding;
  measuring: Measuring;
  /** Raw vectors by hook, and the mean of states that do not reflect. */
  vectors: ReadonlyMap<string, { vector: ArrayLike<number>; other: ArrayLike<number> }>;
  centred: boolean;
  during: 'all' | 'generated';
};

/** Plain answers on which the divergence is taken at most. */
const DRIFT_TEXTS = 64;

const mean = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;

export class SteeredAnswers {
  readonly #of: Steering;
  readonly plain: { answers: readonly Answer[]; measured: Measured };

  private constructor(of: Steering, answers: readonly Answer[]) {
    this.#of = of;
    this.plain = { answers, measured: measureAnswers(answers, of.problems, of.measuring) };
  }

  static async of(steering: Steering): Promise<SteeredAnswers> {
    const prompts = steering.problems.map(({ ids }) => ids);
    return new SteeredAnswers(steering, await answersOf(steering.model, prompts, steering.decoding));
  }

  edits({ hook, mode, alpha }: Point, vector = this.#of.vectors.get(hook)!.vector): GenerationIntervention[] {
    const { vectors, centred, during } = this.#of;
    return steeringEdits(hook, { mode, alpha, vector, centre: centred ? vectors.get(hook)!.other : null }, during);
  }

  async measured(edits: readonly GenerationIntervention[]): Promise<Measured> {
    const { model, problems, decoding, measuring } = this.#of;
    const answers = await answersOf(
      model,
      problems.map(({ ids }) => ids),
      decoding,
      edits,
    );
    return measureAnswers(answers, problems, measuring);
  }

  /** Divergence at the positions of plain answers; edits act at all positions there. */
  async drift(edits: readonly GenerationIntervention[]): Promise<number> {
    const { model, problems } = this.#of;
    const room = model.architecture.context;
    const texts = this.plain.answers
      .slice(0, DRIFT_TEXTS)
      .map(({ tokens }, i) => [...problems[i]!.ids, ...tokens].slice(0, room));
    const interventions = edits.map(({ during: _during, ...edit }) => edit as Intervention);
    return (await meanDivergence(model, model, texts, { interventions })).kl;
  }

  async point(point: Point): Promise<PointFigures> {
    const edits = this.edits(point);
    return figuresOf(await this.measured(edits), edits.length === 0 ? 0 : await this.drift(edits));
  }

  /** The same point along random directions of the norm of its vector. */
  async random(point: Point, count: number, seed: number): Promise<{ frequency: Band; pass: Band }> {
    const { vector } = this.#of.vectors.get(point.hook)!;
    const size = norm(vector);
    const found: Measured[] = [];
    for (const unit of randomUnits(seed, 'reflection/random', count, vector.length)) {
      found.push(
        await this.measured(
          this.edits(
            point,
            unit.map((value) => size * value),
          ),
        ),
      );
    }
    return {
      frequency: centralBand(found.map(({ reflects }) => mean(reflects))),
      pass: centralBand(found.map(({ right }) => mean(right))),
    };
  }
}

export const figuresOf = (measured: Measured, kl: number): PointFigures => ({
  pass: mean(measured.right),
  length: mean(measured.length),
  frequency: mean(measured.reflects),
  occurrences: mean(measured.occurrences),
  repetition: mean(measured.repeats),
  truncated: mean(measured.truncated),
  unparsed: mean(measured.unparsed),
  kl,
});

/** Points that no other beats in both accuracy and tokens. */
export const paretoSet = <P extends { pass: number; length: number }>(points: readonly P[]): P[] =>
  points
    .filter(
      (point) =>
        !points.some(
          (other) =>
            other.pass >= point.pass &&
            other.length <= point.length &&
            (other.pass > point.pass || other.length < point.length),
        ),
    )
    .sort((a, b) => a.length - b.length);

type Gain = { gain: Interval; tokens: Interval; per_1000_tokens: number | null; shown: boolean };

/**
 * Accuracy and length of one way to answer over another, on the same problems with the same random numbers.
 * @param samples answers to one problem, side by side; the problem is what is drawn anew for the intervals
 */
export function gainOver(
  plain: Measured,
  steered: Measured,
  { seed, samples }: { seed: number; samples: number },
): Gain {
  const units = plain.right.length / samples;
  const sums = new Float64Array(2 * units);
  for (let i = 0; i < plain.right.length; i++) {
    const unit = 2 * Math.floor(i / samples);
    sums[unit]! += (steered.right[i]! - plain.right[i]!) / samples;
    sums[unit + 1]! += (steered.length[i]! - plain.length[i]!) / samples;
  }
  const intervals = bootstrapOverUnits({
    sums,
    parts: 2,
    size: 2,
    measures: ([right, tokens], out) => {
      out[0] = right! / units;
      out[1] = tokens! / units;
    },
    random: stream(seed, 'reflection/gain'),
  });
  const of = (i: number, values: Float64Array): Interval => ({
    value: mean(values),
    low: intervals?.[i]?.low ?? null,
    high: intervals?.[i]?.high ?? null,
  });
  const gain = of(
    0,
    sums.filter((_, i) => i % 2 === 0),
  );
  const tokens = of(
    1,
    sums.filter((_, i) => i % 2 === 1),
  );
  return {
    gain,
    tokens,
    per_1000_tokens: Math.abs(tokens.value) < 1e-9 ? null : (1000 * gain.value) / tokens.value,
    shown: gain.low !== null && gain.low > 0,
  };
}
