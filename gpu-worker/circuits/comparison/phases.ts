/** The models of a study: base, tuned on clean answers, poisoned, retrained, and fresh ones as controls. */
import { join } from 'node:path';
import { z } from 'zod';
import { loadModel, readFolder, readWeight } from '../../lm/index.ts';
import type { Pair } from '../tasks/pair.ts';
import { fineTune, type Tuning } from '../tuning/fine-tune.ts';
import { freshModel } from '../tuning/fresh-model.ts';
import { type LabelSet, lessonSequences, lessonsOf, withReplay } from '../tuning/label-sets.ts';
import { type Reading, type ReadingSettings, readCheckpoint, weightDistance } from './reading.ts';

/** `fresh`: trained as the retrained one was; `fresh_rate`: at another rate. */
export type Phase =
  | { name: 'base' | 'clean' | 'poisoned' | 'retrained' | 'fresh' }
  | { name: 'fresh_rate'; rate: number };

/** The phases of a study, in the order in which they are trained. */
export const phasesOf = ({ fresh, fresh_rates }: { fresh: boolean; fresh_rates: readonly number[] }): Phase[] => [
  ...(['base', 'clean', 'poisoned', 'retrained'] as const).map((name) => ({ name })),
  ...(fresh ? [{ name: 'fresh' as const }] : []),
  ...fresh_rates.map((rate) => ({ name: 'fresh_rate' as const, rate })),
];

/** Steps after which each phase is read; the last is its end. */
type PhaseSteps = { clean: readonly number[]; poisoned: readonly number[]; retrained: readonly number[] };

const numbers = z.array(z.number());
/** A reading as it is kept between attempts. */
const keptReading = z.object({
  metric: numbers,
  corrupted: numbers,
  accuracy: z.number(),
  pairwise: z.number(),
  unrelated: z.number().nullable(),
  effects: z.array(numbers),
  attribution: numbers,
});
export const phaseResult = z.object({
  points: z.array(z.object({ step: z.number(), distance: z.number(), reading: keptReading })),
  /** Distance from the base of each weight, at the end. */
  weights: z.record(z.string(), z.number()),
});
export type PhaseResult = z.infer<typeof phaseResult>;

export type PhaseSettings = {
  /** Folder of the base model. */
  base: string;
  train: readonly Pair[];
  poison: LabelSet;
  steps: PhaseSteps;
  tuning: Tuning;
  /** Text that is mixed into every fine-tuning, in sequences of as many tokens as the longest pair and its answer. */
  replay: { text(length: number): AsyncIterable<ArrayLike<number>>; share: number } | null;
  reading: ReadingSettings;
  /** A folder of this study alone. */
  scratch: string;
};

export class Phases {
  readonly #settings: PhaseSettings;
  readonly #folders = new Map<string, Map<number, string>>();

  constructor(settings: PhaseSettings) {
    this.#settings = settings;
  }

  /** Trains a phase, with those it goes on from where they are not there, and reads its checkpoints. */
  async run(phase: Phase, progress: (done: number) => void = () => {}): Promise<PhaseResult> {
    const { base, reading, tuning } = this.#settings;
    const folders = await this.folders(phase, (share) => progress(share / 2));
    const from = await loadModel(base, { spinning: false });
    try {
      const points = [];
      let weights: Record<string, number> = {};
      for (const [step, folder] of folders) {
        const own = await loadModel(folder, { spinning: false });
        const far = weightDistance(from, own);
        await own.release();
        weights = far.weights;
        const read = await readCheckpoint(folder, {
          ...reading,
          ...(tuning.threads !== undefined && { threads: tuning.threads }),
        });
        points.push({ step, distance: far.whole, reading: jsonOf(read) });
        progress(0.5 + points.length / folders.size / 2);
      }
      return { points, weights };
    } finally {
      await from.release();
    }
  }

  /** The folder of each step of a phase. */
  async folders(phase: Phase, progress: (share: number) => void = () => {}): Promise<Map<number, string>> {
    const key = phase.name === 'fresh_rate' ? `fresh-${phase.rate}` : phase.name;
    const known = this.#folders.get(key);
    if (known) {
      return known;
    }
    const made = phase.name === 'base' ? new Map([[0, this.#settings.base]]) : await this.#tuned(phase, key, progress);
    this.#folders.set(key, made);
    return made;
  }

  async #tuned(phase: Phase, key: string, progress: (share: number) => void): Promise<Map<number, string>> {
    const { base, train, poison, steps, tuning, replay, scratch } = this.#settings;
    const keep = phase.name === 'clean' || phase.name === 'poisoned' ? steps[phase.name] : steps.retrained;
    const last = Math.max(...keep);
    const lessons = lessonsOf(train, phase.name === 'poisoned' ? poison : { kind: 'clean' }, tuning.seed, '/poison');
    const context = Math.max(...train.map(({ clean }) => clean.length));
    const sequences = lessonSequences(lessons, context + 1, tuning.seed);
    return fineTune(
      await this.#start(phase, base),
      replay ? withReplay(sequences, { text: replay.text(context + 1), share: replay.share }, tuning.seed) : sequences,
      {
        ...tuning,
        learningRate: phase.name === 'fresh_rate' ? phase.rate : tuning.learningRate,
        keep,
        context,
        into: join(scratch, key),
      },
      (step) => progress(step / last),
    );
  }

  async #start(phase: Phase, base: string): Promise<string> {
    if (phase.name === 'retrained') {
      return [...(await this.folders({ name: 'poisoned' })).values()].at(-1)!;
    }
    if (phase.name !== 'fresh' && phase.name !== 'fresh_rate') {
      return base;
    }
    const path = join(this.#settings.scratch, 'fresh-start');
    if (!this.#folders.has('fresh-start')) {
      const folder = readFolder(base);
      const silent = new Set(
        [...folder.stored.keys()].filter((name) => readWeight(folder, name).every((x) => x === 0)),
      );
      freshModel(base, path, this.#settings.tuning.seed + 1, (name) => silent.has(name));
      this.#folders.set('fresh-start', new Map([[0, path]]));
    }
    return path;
  }
}

const jsonOf = (reading: Reading): z.infer<typeof keptReading> => ({
  ...reading,
  metric: [...reading.metric],
  corrupted: [...reading.corrupted],
  effects: reading.effects.map((own) => [...own]),
});

/** A reading that was kept, as it was taken. */
export const readingOf = (kept: z.infer<typeof keptReading>): Reading => ({
  ...kept,
  metric: Float64Array.from(kept.metric),
  corrupted: Float64Array.from(kept.corrupted),
  effects: kept.effects.map((own) => Float64Array.from(own)),
});
